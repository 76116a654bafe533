"""The tokens of the configuration, compared so that the time it takes tells nothing, and not too often."""

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

from pydantic import SecretStr

from case_monitor.settings import Settings

WRONG_TOKEN_DELAY_S = 0.3
MAX_WRONG = 10
PERIOD_S = 60


class Right(Enum):
    """What a token is good for; whoever may write may read."""

    READ = "read"
    WRITE = "write"


def right_of(settings: Settings, token: bytes) -> Right | None:
    """What this token is good for; None: nothing."""
    may_write = _is(token, settings.write_token)
    may_read = _is(token, settings.read_token)
    return Right.WRITE if may_write else Right.READ if may_read else None


def _is(token: bytes, expected: SecretStr | None) -> bool:
    """Digests are compared, so that not even the length can be measured."""
    of_expected = hashlib.sha256(expected.get_secret_value().encode() if expected else b"").digest()
    return hmac.compare_digest(hashlib.sha256(token).digest(), of_expected) and expected is not None


class WrongTokens:
    """The wrong tokens of the last minute, from anywhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=MAX_WRONG)

    def too_many(self) -> bool:
        """Whether to look at no token for now."""
        return len(self._times) == MAX_WRONG and self._clock() - self._times[0] < PERIOD_S

    def note(self) -> None:
        """One more."""
        self._times.append(self._clock())
