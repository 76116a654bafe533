"""Secrets out of the errors that leave a task: Prefect stores their messages, and shows them to all who see runs."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from case_monitor.domain.errors import CaseMonitorError
from case_monitor.logs.masking import masked

P = ParamSpec("P")
R = TypeVar("R")


def masking_errors(run: Callable[P, R]) -> Callable[P, R]:
    """`run`, whose errors say nothing secret. Stands below `@task`.

    An error keeps its type, unless what it says is not made of its arguments: that one becomes a CaseMonitorError.
    """

    @wraps(run)
    def masking(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return run(*args, **kwargs)
        except Exception as error:
            error.args = tuple(masked(part) if isinstance(part, str) else part for part in error.args)
            said = str(error)
            if masked(said) != said:
                raise CaseMonitorError(f"{type(error).__name__}: {masked(said)}") from None
            raise

    return masking
