"""Addresses of servers that people open in their browsers."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_EXPECTED = "an http:// or https:// address without user, password, query and fragment was expected"


def _openable(url: str) -> str:
    # What came is not repeated: it may hold a password.
    if any(c.isspace() or not c.isprintable() for c in url) or browser_address(url) != url.rstrip("/"):
        raise ValueError(_EXPECTED)
    return url.rstrip("/")


def browser_address(url: str) -> str | None:
    """What of this URL may be shown as a link; None unless it is HTTP.

    >>> browser_address("https://me:hunter2@mlflow.example/base/?token=x")
    'https://mlflow.example/base'
    >>> browser_address("sqlite:///mlflow.db")
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


BrowserUrl = Annotated[str, AfterValidator(_openable)]
