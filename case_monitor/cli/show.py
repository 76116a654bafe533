"""Verdicts for people (Rich) and for machines (JSON). All names and messages are untrusted: Text, never markup."""

import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from case_monitor.domain.alert import Alert
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.methods import method_title
from case_monitor.domain.p_values import p_text
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.steps.outcomes import DryRun, Outcome

STATUS_STYLE = {Status.PASS: "green", Status.FAIL: "red", Status.INSUFFICIENT: "yellow"}


def show_outcome(outcome: Outcome | DryRun, console: Console) -> None:
    """Verdict, methods, rules, alerts, and where to look."""
    verdict = outcome.verdict
    title = Text(f"{outcome.model}: {verdict.status.upper()}", style=f"bold {STATUS_STYLE[verdict.status]}")
    console.print(Panel(Text(verdict.sentence), title=title, border_style=STATUS_STYLE[verdict.status]))
    for note in verdict.notes:
        console.print(Text(note), soft_wrap=True)
    console.print(Text(outcome.other_rules, style="dim"), soft_wrap=True)
    if outcome.evaluation:
        console.print(methods_table(outcome.evaluation))
    console.print(_rules_table([r for r in verdict.results if r.class_idx is None]))
    for alert in outcome.alerts:
        console.print(alert_line(alert))
    console.print(Text(_where(outcome), style="dim"), soft_wrap=True)


def _where(outcome: Outcome | DryRun) -> str:
    if isinstance(outcome, DryRun):
        layer = outcome.evaluation.provenance.target_layer
        return f"Dry run on layer {layer}: nothing is stored, nobody is told, and no alias moves."
    pictures = f", pictures in {outcome.artifact_uri}" if outcome.artifact_uri else ""
    return f"Evaluation {outcome.evaluation_id}, MLflow run {outcome.run_id}{pictures}"


def show_promotion(promotion: Promotion, console: Console) -> None:
    """What the gate did."""
    held = f"version {promotion.previous_version}" if promotion.previous_version else "no version"
    words = {
        Decision.PROMOTED: f"Alias {promotion.alias} moved from {held} to version {promotion.version}.",
        Decision.KEPT: f"Version {promotion.version} already holds alias {promotion.alias}.",
        Decision.WITHHELD: f"Withheld: alias {promotion.alias} stays with {held}.",
        Decision.OVERRIDDEN: f"Against the verdict, alias {promotion.alias} is with version {promotion.version} "
        f"({held} had it).",
    }
    console.print(Text(words[promotion.decision], style="bold"))


def methods_table(evaluation: Evaluation) -> Table:
    """Class sensitivity and fidelity of every method."""
    area = f"{100 * evaluation.provenance.protocol.areas[-1]:g}"
    table = Table(title="Saliency methods", title_justify="left")
    table.add_column("method")
    for header in ("agreement (median)", "95% CI", "degenerate", f"drop at {area}%", "vs random"):
        table.add_column(header, justify="right")
    for method in evaluation.provenance.protocol.methods:
        median = evaluation.summary("agreement_median", method)
        table.add_row(
            Text(method_title(method) + (" (gate)" if method == evaluation.policy.gate_method else "")),
            _percent(median, "value"),
            f"{_percent(median, 'ci_low')} to {_percent(median, 'ci_high')}",
            _percent(evaluation.summary("agreement_degenerate_rate", method), "value"),
            _signed(evaluation.summary(f"confidence_drop_{area}", method)),
            _signed(evaluation.summary(f"confidence_drop_{area}_vs_random", method)),
        )
    return table


def _rules_table(results: list[ThresholdResult]) -> Table:
    table = Table(title="Policy", title_justify="left")
    for header in ("rule", "method", "outcome", "p", "adjusted", "why"):
        table.add_column(header)
    for r in results:
        outcome = Text(r.status, style=STATUS_STYLE[r.status])
        rule, method = Text(r.threshold.metric), Text(method_title(r.method or ""))
        table.add_row(rule, method, outcome, p_text(r.p_value), p_text(r.p_adjusted), Text(r.reason))
    return table


def alert_line(alert: Alert) -> Text:
    """Message and advice."""
    style = STATUS_STYLE[alert.status] if alert.severity == "block" else "yellow"
    return Text.assemble((f"{alert.severity}: ", f"bold {style}"), alert.message, " ", (alert.advice, "italic"))


def _percent(row: MetricSummary | None, field: str) -> str:
    value = float("nan") if row is None else float(getattr(row, field))
    return "undefined" if math.isnan(value) else f"{value:.0%}"


def _signed(row: MetricSummary | None) -> str:
    return "undefined" if row is None or math.isnan(row.value) else f"{row.value:+.3f}"


def outcome_as_dict(outcome: Outcome | DryRun, promotion: Promotion | None = None) -> dict[str, object]:
    """The verdict as strict JSON: NaN becomes null."""
    stored = None if isinstance(outcome, DryRun) else outcome
    content = {
        "model": outcome.model.name,
        "version": outcome.model.version,
        "verdict": outcome.verdict.status,
        "sentence": outcome.verdict.sentence,
        "notes": outcome.verdict.notes,
        "other_rules": outcome.other_rules,
        "stored": stored is not None,
        "evaluation_id": stored and stored.evaluation_id,
        "baseline_version": outcome.baseline.version if outcome.baseline else None,
        "mlflow_run_id": stored and stored.run_id,
        "rules": [asdict(result) for result in outcome.verdict.results],
        "alerts": [asdict(alert) for alert in outcome.alerts],
        "promotion": promotion_as_dict(promotion) if promotion else None,
    }
    cleaned: dict[str, object] = without_nan(content)
    return cleaned


def promotion_as_dict(promotion: Promotion) -> dict[str, object]:
    """A decision as strict JSON has it: times as text."""
    until = promotion.valid_until
    return asdict(promotion) | {"valid_until": until and until.isoformat()}


def without_nan(value: Any) -> Any:
    """What strict JSON has: NaN and infinity become null."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
