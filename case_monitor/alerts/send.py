"""Notices to people, through Apprise. Its URLs hold secrets: nothing of them is logged, not even by Apprise itself.

Apprise is imported where it is called: it takes half a second, which who sends nothing would wait for.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import SecretStr

Urgency = Literal["success", "warning", "failure"]

_TALKATIVE = ("apprise", "urllib3.connectionpool")


def channel_id(url: SecretStr) -> str:
    """What tells a channel from the others, and is too short to find out a password by trying."""
    return hashlib.sha256(url.get_secret_value().encode()).hexdigest()[:4]


def is_valid(url: SecretStr) -> bool:
    """Whether Apprise understands the URL. Nothing is sent."""
    from apprise import Apprise

    with _silent():
        try:
            return Apprise.instantiate(url.get_secret_value()) is not None
        except Exception:
            return False


def send(url: SecretStr, title: str, body: str, urgency: Urgency) -> bool:
    """Send plain text to one channel; True if it was taken. Nothing raises: what went wrong would name the URL."""
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    # interpret_escapes would turn a class named `\n` into a line break.
    asset = AppriseAsset(app_id="case_monitor", async_mode=False, interpret_escapes=False)
    with _silent():
        try:
            channel = Apprise.instantiate(url.get_secret_value(), asset=asset)
            if channel is None:
                return False
            messenger = Apprise(channel, asset=asset)
            return messenger.notify(body, title, NotifyType(urgency), body_format=NotifyFormat.TEXT) is True
        except Exception:
            return False


@contextmanager
def _silent() -> Iterator[None]:
    """A filter for each call, because calls in several threads end in any order."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(nothing)
