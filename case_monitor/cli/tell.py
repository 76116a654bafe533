"""Telling what the gate decided, and on which evidence."""

from case_monitor.cli.exit_codes import exit_code
from case_monitor.cli.say import print_json
from case_monitor.cli.show import outcome_as_dict, show_outcome, show_promotion
from case_monitor.cli.standard_output import results_console
from case_monitor.domain.promotion import Promotion
from case_monitor.steps.outcomes import Outcome


def tell_gated(outcome: Outcome, promotion: Promotion, *, as_json: bool) -> int:
    """Print the evidence and what was decided on it; returns the exit code."""
    if as_json:
        print_json(outcome_as_dict(outcome, promotion))
    else:
        console = results_console()
        show_outcome(outcome, console)
        show_promotion(promotion, console)
    return exit_code(outcome.verdict.status)
