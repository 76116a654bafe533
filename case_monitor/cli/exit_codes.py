"""What a command's exit code says."""

from case_monitor.domain.status import Status

PASS, FAIL, COULD_NOT_RUN, INSUFFICIENT = 0, 1, 2, 3
INTERRUPTED = 130

_OF_VERDICT = {Status.PASS: PASS, Status.FAIL: FAIL, Status.INSUFFICIENT: INSUFFICIENT}


def exit_code(status: Status) -> int:
    """The process's exit code for a verdict."""
    return _OF_VERDICT.get(status, COULD_NOT_RUN)
