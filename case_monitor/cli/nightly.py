"""`nightly`: look at what is in production, and show what came of it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from case_monitor.cli.exit_codes import COULD_NOT_RUN, PASS, exit_code
from case_monitor.cli.progress import showing_progress
from case_monitor.cli.say import print_json
from case_monitor.cli.show import STATUS_STYLE, alert_line, without_nan
from case_monitor.cli.standard_output import results_console
from case_monitor.domain.status import Status
from case_monitor.steps.nightly import nightly
from case_monitor.steps.outcomes import Night
from case_monitor.steps.requests import NightlyRequest
from case_monitor.steps.running import run_flow

_WORST_FIRST = (Status.FAIL, Status.INSUFFICIENT, Status.PASS)


def run_nightly(models: Sequence[str], config: Path | None, *, as_json: bool) -> int:
    """Check; returns the exit code of the worst."""
    request = NightlyRequest(models=tuple(models), config=str(config.absolute()) if config else None)
    with showing_progress("nightly"):
        nights = run_flow(nightly, request)
    if as_json:
        print_json([_as_dict(night) for night in nights])
    else:
        console = results_console()
        for night in nights:
            _show(night, console)
    found = {_status(night) for night in nights if night.verdict}
    return next((exit_code(status) for status in _WORST_FIRST if status in found), PASS if nights else COULD_NOT_RUN)


def _status(night: Night) -> Status:
    """That of the verdict; figures that do not come out again fail, whatever they said."""
    if night.verdict is None:
        return Status.PASS
    again = night.reproduction is None or night.reproduction.reproduced
    return night.verdict.status if again else Status.FAIL


def _show(night: Night, console: Console) -> None:
    if night.verdict is None:
        console.print(Text(f"{night.model}: no version is in production"), soft_wrap=True)
        return
    status = _status(night)
    heading = f"{night.model}/{night.version}: {status.upper()}"
    console.print(Text.assemble((heading, f"bold {STATUS_STYLE[status]}"), f"  {_how(night)}"), soft_wrap=True)
    for line in (night.verdict.sentence, *night.verdict.notes):
        console.print(Text(f"   {line}"), soft_wrap=True)
    for alert in night.alerts:
        console.print(Text.assemble("   ", alert_line(alert)), soft_wrap=True)


def _how(night: Night) -> str:
    found = night.reproduction
    if found is None:
        return "evaluated in full"
    if found.reproduced:
        return f"evaluation {night.evaluation_id} comes out again ({found.n} images)"
    return f"evaluation {night.evaluation_id} does not come out again ({found.n} images)"


def _as_dict(night: Night) -> dict[str, object]:
    content: dict[str, object] = {
        "model": night.model,
        "version": night.version,
        "evaluation_id": night.evaluation_id,
        "verdict": night.verdict.status if night.verdict else None,
        "sentence": night.verdict.sentence if night.verdict else None,
        "notes": night.verdict.notes if night.verdict else [],
        "alerts": [asdict(alert) for alert in night.alerts],
        "reproduction": None,
    }
    if night.reproduction:
        content["reproduction"] = asdict(night.reproduction) | {"reproduced": night.reproduction.reproduced}
    cleaned: dict[str, object] = without_nan(content)
    return cleaned
