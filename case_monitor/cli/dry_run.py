"""`check --dry-run`: show what a check would have found."""

from pathlib import Path

from case_monitor.cli.exit_codes import exit_code
from case_monitor.cli.progress import showing_progress
from case_monitor.cli.run import request_for
from case_monitor.cli.say import print_json
from case_monitor.cli.show import outcome_as_dict, show_outcome
from case_monitor.cli.standard_output import results_console
from case_monitor.steps.dry_run import dry_run


def run_dry_check(model: str, layer: str | None, config: Path | None, *, as_json: bool, first: bool) -> int:
    """Measure and judge, and leave nothing behind; returns the exit code."""
    with showing_progress(f"check {model} (dry run)"):
        outcome = dry_run(request_for(model, config, reuse=False, first=first), layer)
    if as_json:
        print_json(outcome_as_dict(outcome))
    else:
        show_outcome(outcome, results_console())
    return exit_code(outcome.verdict.status)
