"""The messages of errors that are not ours, fit for one line of ours."""

import re


def short_message(error: object) -> str:
    """The message of a foreign error in one line of bounded length, without the credentials in a URL."""
    text = " ".join(str(error).split())
    return re.sub(r"://[^/\s]*@", "://***@", text)[:300]
