"""`doctor`: what is wrong, and what to do about it. Names and messages are untrusted: Text, never markup."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from case_monitor.cli.exit_codes import COULD_NOT_RUN, PASS
from case_monitor.cli.say import print_json
from case_monitor.cli.standard_output import results_console
from case_monitor.doctor import Check, Outcome, examine

_STYLE = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "red", Outcome.SKIPPED: "dim"}
_WIDTH = max(map(len, Outcome))


def run_doctor(config: Path | None, *, quick: bool, as_json: bool) -> int:
    """Look at everything; the exit code is 0 if nothing failed."""
    return tell_checks(examine(config, quick=quick), as_json=as_json)


def tell_checks(made: Iterable[Check], *, as_json: bool) -> int:
    """Show each check as it is made; the exit code is 0 if none failed."""
    checks = []
    console = results_console()
    for check in made:
        checks.append(check)
        if not as_json:
            _show(check, console)
    counts = Counter(check.outcome for check in checks)
    healthy = not counts[Outcome.FAILED]
    if as_json:
        print_json({"ok": healthy, "checks": [_as_dict(c) for c in checks]})
    else:
        summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        console.print(Text(summary, style="bold"))
    return PASS if healthy else COULD_NOT_RUN


def _show(check: Check, console: Console) -> None:
    style = _STYLE[check.outcome]
    line = Text.assemble((f"{check.outcome:<{_WIDTH}}  ", f"bold {style}"), (check.name, "bold"), f": {check.found}")
    console.print(line, soft_wrap=True)
    if check.remedy:
        console.print(Text(f"{'':<{_WIDTH}}  remedy: {check.remedy}", style="italic"), soft_wrap=True)


def _as_dict(check: Check) -> dict[str, str]:
    return {"name": check.name, "status": check.outcome.value, "found": check.found, "remedy": check.remedy}
