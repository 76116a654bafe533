"""`override`: against the verdict, by somebody who answers for it."""

from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from case_monitor.cli.progress import showing_progress
from case_monitor.cli.say import print_json
from case_monitor.cli.show import promotion_as_dict, show_promotion
from case_monitor.cli.standard_output import results_console
from case_monitor.logs.masking import masked
from case_monitor.steps.override import override
from case_monitor.steps.requests import OverrideRequest
from case_monitor.steps.running import run_flow


def run_override(model: str, by: str, reason: str, until: datetime, config: Path | None, *, as_json: bool) -> None:
    """Move the alias, and say what was done. Everybody reads the reason, so that no secret stays in it."""
    request = OverrideRequest(
        model=model,
        by=_one_line(by),
        reason=_one_line(reason),
        until=until.replace(tzinfo=UTC),
        config=str(config.absolute()) if config else None,
    )
    with showing_progress(f"override {model}"):
        promotion = run_flow(override, request)
    if as_json:
        print_json(promotion_as_dict(promotion))
        return
    console = results_console()
    show_promotion(promotion, console)
    answer = (
        f"{promotion.decided_by} answers for it until {promotion.valid_until:%Y-%m-%d %H:%M} UTC: {promotion.reason}"
    )
    console.print(Text(answer), soft_wrap=True)


def _one_line(text: str) -> str:
    return masked(" ".join(text.split()))
