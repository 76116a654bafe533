"""Telling that a fast way was left for a slow one."""

import functools
import logging

_log = logging.getLogger(__name__)


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning; the same text is logged once in a process."""
    _log.warning(message)
