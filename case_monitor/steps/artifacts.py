"""What a person sees in Prefect's UI: the verdict in words and the methods in a table."""

import math
import re
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from case_monitor.domain.alert import Alert
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.methods import method_title
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.p_values import p_text
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.steps.running import in_prefect

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|~>-])")


def show_in_prefect(evaluation: Evaluation) -> None:
    """Create the artifacts of one evaluation, where there is a run that they belong to."""
    if not in_prefect():
        return
    name = str(evaluation.model)
    create_table_artifact(table=methods_table(evaluation), key="saliency-methods", description=literal(name))
    markdown = verdict_markdown(evaluation.verdict, evaluation.alerts)
    create_markdown_artifact(markdown=markdown, key="verdict", description=literal(name))


def methods_table(evaluation: Evaluation) -> list[dict[str, str]]:
    """One row per method: class sensitivity and fidelity with intervals."""
    drops = [f"confidence_drop_{suffix}" for suffix in evaluation.provenance.protocol.suffixes]
    return [
        {
            "method": method_title(method),
            "agreement (median)": _with_interval(evaluation.summary("agreement_median", method)),
            "p (Wilcoxon)": _number(evaluation.summary("agreement_median", method), "p_value"),
            "degenerate maps": _number(evaluation.summary("agreement_degenerate_rate", method), "value"),
            **{
                f"{drop} against random": _with_interval(evaluation.summary(f"{drop}_vs_random", method))
                for drop in drops
            },
        }
        for method in evaluation.provenance.protocol.methods
    ]


def show_night_in_prefect(model: ModelVersion, found: Reproduction, verdict: Verdict, alerts: Sequence[Alert]) -> None:
    """Create the artifact of a night that looked at a stored evaluation again, where there is a run."""
    if not in_prefect():
        return
    outcome = "come out again" if found.reproduced else "DO NOT come out again"
    again = f"The stored figures {outcome}: {found.n} images, {found.changed_predictions} with another prediction."
    markdown = "\n\n".join([again, verdict_markdown(verdict, alerts)])
    create_markdown_artifact(markdown=markdown, key="verdict", description=literal(str(model)))


def verdict_markdown(verdict: Verdict, alerts: Sequence[Alert]) -> str:
    """The verdict, its rules and its alerts."""
    lines = [
        f"# {verdict.status.upper()}",
        "",
        literal(verdict.sentence),
        "",
        *(line for note in verdict.notes for line in (literal(note), "")),
        "| rule | method | outcome | p | p adjusted | why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {literal(r.threshold.metric)} | {literal(r.method or '')} | {r.status} | {literal(p_text(r.p_value))} | "
        f"{literal(p_text(r.p_adjusted))} | {literal(r.reason)} |"
        for r in verdict.results
        if r.class_idx is None
    ]
    return "\n".join([*lines, *(line for alert in alerts for line in _alert_lines(alert))])


def _alert_lines(alert: Alert) -> list[str]:
    return ["", f"**{alert.severity}**: {literal(alert.message)} {literal(alert.advice)}"]


def literal(text: str) -> str:
    """Untrusted text so that Markdown shows it as it is: no markup, no HTML, no line break."""
    escaped = _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _with_interval(row: MetricSummary | None) -> str:
    if row is None or math.isnan(row.value):
        return "undefined"
    return f"{row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"


def _number(row: MetricSummary | None, field: str) -> str:
    value = float("nan") if row is None else float(getattr(row, field))
    return "undefined" if math.isnan(value) else f"{value:.3g}"
