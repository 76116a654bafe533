"""What a notice about an alert says: plain text, whatever models and classes are called."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from case_monitor.alerts.life import Judged, NoticeKind, Scope, Step, identity_of
from case_monitor.domain.alert import Alert
from case_monitor.domain.methods import method_title
from case_monitor.domain.policy import Severity

MAX_BODY = 1900  # Discord takes 2000 characters, most others more
_MAX_LINE = 500
_MAX_NAME = 80

# Chat services format what stands between these, and call people by @ and <!...>: look-alikes do neither.
_MARKUP = str.maketrans({"<": "‹", ">": "›", "`": "'", "*": "∗", "~": "∼", "|": "¦", "@": "＠"})  # noqa: RUF001 - on purpose
_WORDS = {
    NoticeKind.OPENED: "alert",
    NoticeKind.WORSENED: "alert got worse",
    NoticeKind.STILL_OPEN: "alert still open after its mute",
    NoticeKind.RESOLVED: "resolved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A stored notice. `delivered_to` are the channels that took it; `severity` is that of the alert now."""

    id: int
    kind: NoticeKind
    severity: Severity
    model_name: str
    title: str
    body: str
    delivered_to: tuple[str, ...]


def plain(text: str, limit: int = _MAX_LINE) -> str:
    r"""Untrusted text as one line without control characters (bidirectional ones too), mentions and markup.

    >>> plain("cat\x1b[31m\n*[a](b)*")
    'cat [31m ∗[a] (b)∗'
    """  # noqa: RUF002 - as above
    visible = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    line = " ".join(visible.split()).translate(_MARKUP).replace("](", "] (")  # no link under another name
    return line if len(line) <= limit else line[: limit - 1] + "…"


def notice_text(kind: NoticeKind, step: Step, judged: Judged, scope: Scope, alert_id: int) -> tuple[str, str]:
    """(title, body): what was observed, the limit, the baseline, what it means and what to do."""
    name = plain(judged.model.name, _MAX_NAME)
    title = f"{name}/{judged.model.version} ({scope}): {_WORDS[kind]}: {_about(step, judged)}"
    lines = _observed(step.alert, judged) if step.alert else [f"Resolved: {plain(step.reason or '')}."]
    if step.before:
        since = f"{step.before.opened_at:%Y-%m-%d %H:%M} UTC"
        lines.append(f"Open since {since}; observed {_times(step.before.observations + (step.alert is not None))}.")
    if step.before and not step.alert:
        lines.append(f"It said: {plain(step.before.message)}")
    if step.alert:
        lines.append(f"To quiet it: case-monitor alerts ack {alert_id} --by NAME, or mute (see --help).")
    return title, "\n".join(lines)


def combined(notices: Sequence[Notice]) -> tuple[str, str]:
    """(title, body) of one message for all notices about a model: nobody wants a hundred in one night."""
    if len(notices) == 1:
        return notices[0].title, notices[0].body
    kinds = [notice.kind for notice in notices]
    parts = [f"{kinds.count(kind)} {_WORDS[kind]}" for kind in NoticeKind if kind in kinds]
    title = f"{plain(notices[0].model_name, _MAX_NAME)}: {len(notices)} notices ({', '.join(parts)})"
    texts = [f"{notice.title}\n{notice.body}" for notice in notices]
    # The last line needs room as well.
    shown = max(1, sum(len("\n\n".join(texts[: i + 1])) < MAX_BODY - 60 for i in range(len(texts))))
    if shown < len(texts):
        texts[shown:] = [f"And {len(texts) - shown} more: case-monitor alerts"]
    return title, "\n\n".join(texts)


def _about(step: Step, judged: Judged) -> str:
    identity = step.identity
    parts = [plain(identity.rule.replace("_", " "), _MAX_NAME)]
    if identity.method:
        parts.append(plain(method_title(identity.method), _MAX_NAME))
    name = step.before.class_name if step.before else None
    if identity.class_idx is not None:
        name = judged.class_names[identity.class_idx] if step.alert else name
        parts.append(f"class {plain(repr(name), _MAX_NAME)}")
    return ", ".join(parts)


def _observed(alert: Alert, judged: Judged) -> list[str]:
    advice = f"What to do: {plain(alert.advice)}"
    if math.isnan(alert.limit):  # the alert is not about a number
        return [plain(alert.message), advice]
    result = next((r for r in judged.verdict.results if _of(alert) == (identity_of(r), r.threshold.limit)), None)
    observed = _number(alert.observed)
    if result and math.isfinite(result.ci_low + result.ci_high):
        observed += f" (interval {_number(result.ci_low)} to {_number(result.ci_high)}, n = {result.n})"
    baseline = judged.baseline
    against = f"version {baseline.version}" if baseline else "none"
    return [
        plain(alert.message),
        f"Observed: {observed}; limit: {alert.limit:g}; baseline: {against}; {alert.severity}, {alert.status}.",
        advice,
    ]


def _of(alert: Alert) -> tuple[object, float]:
    return identity_of(alert), alert.limit


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
