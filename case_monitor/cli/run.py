"""`check` and `gate`: run the flow with progress, show what came of it."""

from pathlib import Path

from case_monitor.cli.exit_codes import exit_code
from case_monitor.cli.progress import showing_progress
from case_monitor.cli.say import print_json
from case_monitor.cli.show import outcome_as_dict, show_outcome
from case_monitor.cli.standard_output import results_console
from case_monitor.cli.tell import tell_gated
from case_monitor.steps.evaluate import evaluate_version
from case_monitor.steps.promote import promote
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.steps.running import run_flow


def run_check(model: str, config: Path | None, *, as_json: bool, first: bool = False) -> int:
    """Evaluate; returns the exit code."""
    request = request_for(model, config, reuse=False, first=first)
    with showing_progress(f"check {model}"):
        outcome = run_flow(evaluate_version, request)
    if as_json:
        print_json(outcome_as_dict(outcome))
    else:
        show_outcome(outcome, results_console())
    return exit_code(outcome.verdict.status)


def run_gate(model: str, config: Path | None, *, as_json: bool, fresh: bool, first: bool = False) -> int:
    """Evaluate if needed and decide; returns the exit code."""
    request = request_for(model, config, reuse=not fresh, first=first)
    with showing_progress(f"gate {model}"):
        gated = run_flow(promote, request)
    return tell_gated(gated.outcome, gated.promotion, as_json=as_json)


def request_for(model: str, config: Path | None, *, reuse: bool, first: bool) -> EvaluationRequest:
    """What to evaluate, for a process that may work elsewhere."""
    path = str(config.absolute()) if config else None
    return EvaluationRequest(model=model, config=path, reuse=reuse, first=first)
