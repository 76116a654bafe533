"""Times to keep things, as people write them."""

import re
from datetime import timedelta

from case_monitor.domain.errors import ConfigError

_DAYS = {"d": 1, "w": 7}


def read_duration(text: str, option: str) -> timedelta:
    """Read days or weeks.

    >>> read_duration("12w", "--keep").days
    84

    Raises:
        ConfigError: it is neither.
    """
    found = re.fullmatch(r"([0-9]{1,5})([dw])", text)
    if not found:
        msg = f"{option}: days or weeks such as 90d or 12w were expected, {text!r} came"
        raise ConfigError(msg)
    return timedelta(days=int(found[1]) * _DAYS[found[2]])
