"""Code that is not ours: a registered model's, a user's data set. Whatever it raises is an error of ours about it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from case_monitor.domain.errors import CaseMonitorError, ModelError

_LONGEST = 300


class Interrupted(KeyboardInterrupt):
    """A person's own Ctrl-C. A KeyboardInterrupt that is none of these was raised by the code itself."""


@contextmanager
def foreign_code(
    thing: str, failing: str = "does not work", error_class: type[CaseMonitorError] = ModelError
) -> Iterator[None]:
    """Run such code inside: it may fail, but it ends no program and no night, and its exit code is nobody's verdict.

    Args:
        thing: whose code it is, for the error's message.
        failing: what to say of an ordinary exception.
        error_class: of the error.

    Raises:
        CaseMonitorError: one that it raised itself, or `error_class` from whatever else it raised.
    """
    with _interruptible():
        try:
            yield
        except (CaseMonitorError, Interrupted):
            raise
        except Exception as error:
            raise error_class(f"{thing} {failing}: {type(error).__name__}: {_said(error)}") from error
        except BaseException as error:  # SystemExit, KeyboardInterrupt, GeneratorExit, or one of its own
            raise error_class(f"{thing} ended the program: {type(error).__name__}({_said(error)})") from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C is `Interrupted` inside; where somebody else handles the signal, it stays theirs."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _said(error: BaseException) -> str:
    """The error's first words, in one line; its own code may fail at that, too."""
    try:
        return " ".join(str(error).split())[:_LONGEST]
    except BaseException:
        return "it does not say what"
