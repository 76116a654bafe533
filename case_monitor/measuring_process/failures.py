"""What went wrong in the measuring process, as it is raised in the one that judges: of the same class, in one line."""

import builtins
from collections.abc import Mapping
from contextlib import suppress

from case_monitor.domain import errors
from case_monitor.domain.errors import CaseMonitorError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.logs.masking import masked

_OURS: Mapping[str, type[CaseMonitorError]] = {
    name: known
    for name, known in vars(errors).items()
    if isinstance(known, type) and issubclass(known, CaseMonitorError)
}
_LONGEST = 20_000


def told(error: Exception) -> dict[str, object]:
    """An error, to be sent."""
    return {"is": "error", "kind": type(error).__name__, "says": str(error)[:_LONGEST]}


def raised(head: Mapping[str, object]) -> Exception:
    """The error that came: one of ours or of Python's own; any other is a RuntimeError that names it."""
    kind, says = str(head.get("kind")), head.get("says")
    line = "".join(c if c.isprintable() else " " for c in masked(says if isinstance(says, str) else ""))
    if kind in _OURS:
        return _OURS[kind](line)
    known = getattr(builtins, kind, None)
    with suppress(TypeError):  # some want more than words
        if isinstance(known, type) and issubclass(known, Exception):
            return known(short_message(line))
    return RuntimeError(f"{short_message(kind)}: {short_message(line)}")
