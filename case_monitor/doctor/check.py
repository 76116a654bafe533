"""One look at one thing: bounded in time, and whatever goes wrong in it is its answer."""

import unicodedata
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread
from typing import Any

from case_monitor.domain.errors import CaseMonitorError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.logs.masking import masked

SERVER_LIMIT_S = 30.0
WORK_LIMIT_S = 300.0  # reading a whole split, downloading and loading a model


class Outcome(StrEnum):
    """What came of a check. A warning keeps no command from working."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found, what to do about it, and in `value` what later checks build on."""

    outcome: Outcome
    found: str
    remedy: str = ""
    value: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """An answer and what it is about."""

    name: str
    outcome: Outcome
    found: str
    remedy: str
    value: Any = None


def ok(found: str, value: Any = None) -> Answer:
    """All is well."""
    return Answer(outcome=Outcome.OK, found=found, value=value)


def warning(found: str, remedy: str, value: object = None) -> Answer:
    """Checks work, but not all that people expect of them."""
    return Answer(outcome=Outcome.WARNING, found=found, remedy=remedy, value=value)


def failed(found: str, remedy: str) -> Answer:
    """Checks cannot work."""
    return Answer(outcome=Outcome.FAILED, found=found, remedy=remedy)


def skipped(name: str, because: str) -> Check:
    """Nothing was looked at."""
    return _named(name, Answer(outcome=Outcome.SKIPPED, found=because))


def ask(name: str, look: Callable[[], Answer], *, remedy: str, limit_s: float = SERVER_LIMIT_S) -> Check:
    """Look, for so many seconds at most.

    Args:
        name: of the check.
        look: raises what it likes.
        remedy: where it raises, or takes too long.
        limit_s: a thread that is still busy then is left alone; it ends with the process.
    """
    answers: list[Answer] = []

    def look_and_tell() -> None:
        try:
            answers.append(look())
        except CaseMonitorError as error:
            answers.append(failed(str(error), remedy))
        except BaseException as error:  # a model's own code may even exit
            answers.append(failed(f"unexpected {type(error).__name__}: {short_message(error)}", remedy))

    # Prefect keeps its settings, and logging the evaluation, in context variables.
    thread = Thread(target=copy_context().run, args=(look_and_tell,), name=f"doctor: {name}", daemon=True)
    thread.start()
    thread.join(limit_s)
    return _named(name, answers[0] if answers else failed(f"no answer within {limit_s:g} seconds", remedy))


def _named(name: str, answer: Answer) -> Check:
    return Check(
        name=_visible(name),
        outcome=answer.outcome,
        found=_visible(masked(answer.found)),
        remedy=_visible(masked(answer.remedy)),
        value=answer.value,
    )


def _visible(text: str) -> str:
    """Untrusted text in one line, without what a terminal would obey."""
    return " ".join("".join(" " if unicodedata.category(c).startswith("C") else c for c in text).split())
