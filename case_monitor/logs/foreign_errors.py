"""The messages of errors that are not ours, fit for one line of ours."""

import re

from case_monitor.logs.masking import masked


def short_message(error: object) -> str:
    """The message of a foreign error in one line of bounded length, without secrets and the credentials in a URL."""
    text = " ".join(masked(str(error)).split())  # before it is cut: half of a secret is not recognised any more
    return re.sub(r"://[^/\s]*@", "://***@", text)[:300]
