"""Verdicts on samples that are drawn from what was measured on a version once."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.calibration.drawn import Drawn, drawn
from benchmarks.calibration.measure import protocol_of
from benchmarks.calibration.measurement import Measurement
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, PAPER_THRESHOLDS, Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.confusion import class_metrics
from case_monitor.judging.figures.between_versions import comparison_summaries
from case_monitor.judging.figures.contrast import contrast_summaries
from case_monitor.judging.figures.of_one_version import explanation_summaries, model_summaries
from case_monitor.judging.figures.row import rate_row
from case_monitor.judging.verdict import judge
from tests.support.whole import confusion_matrix

RULES = {"contrast": CONTRAST_THRESHOLDS, "paper": PAPER_THRESHOLDS}
FIRST, BESIDE = "first", "beside a champion"
AGAINST = (FIRST, BESIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Verdicts on one version.

    Attributes:
        statuses: of each verdict.
        warned: how many have an alert on position.
        causes: blocking rule -> verdicts in which it did not pass.
    """

    statuses: tuple[str, ...]
    warned: int
    causes: dict[str, int]

    @property
    def failed(self) -> float:
        """The share of the verdicts that failed."""
        return self.statuses.count(Status.FAIL) / len(self.statuses)

    @property
    def withheld(self) -> float:
        """The share of the verdicts that failed or were insufficient."""
        return 1 - self.statuses.count(Status.PASS) / len(self.statuses)

    @property
    def warned_of_position(self) -> float:
        return self.warned / len(self.statuses)

    def alike(self, other: "Tally") -> float:
        """The share of the verdicts that are the same, image for image."""
        return sum(a == b for a, b in zip(self.statuses, other.statuses, strict=True)) / len(self.statuses)


def tally(verdicts: list[Verdict]) -> Tally:
    """Count."""
    causes: Counter[str] = Counter()
    for verdict in verdicts:
        causes.update({r.threshold.metric for r in verdict.results if _withholds(r.status, r.threshold.severity)})
    return Tally(
        statuses=tuple(verdict.status.value for verdict in verdicts),
        warned=sum(_warns_of_position(verdict) for verdict in verdicts),
        causes=dict(causes.most_common()),
    )


def policy_of(rules: str, shown: str) -> Policy:
    """All else is as by default."""
    return Policy(gate_method=shown, thresholds=RULES[rules])


def _withholds(status: Status, severity: Severity) -> bool:
    return severity is Severity.BLOCK and status is not Status.PASS


def _warns_of_position(verdict: Verdict) -> bool:
    return any(r.threshold.metric == "position" and r.status is Status.FAIL for r in verdict.results)


def verdicts(
    measured: Measurement, champion: Measurement | None, rules: str, n: int, draws: int
) -> dict[str, list[Verdict]]:
    """As a first version, and beside the champion on the same images where there is one.

    The images are drawn alike for all versions of a set, so that a version and its twin are judged on the same ones.
    """
    policy = policy_of(rules, measured.shown)
    rng = np.random.default_rng(n)
    found: dict[str, list[Verdict]] = {FIRST: [], **({BESIDE: []} if champion else {})}
    for _ in range(draws):
        images = np.sort(rng.choice(len(measured.target), n, replace=False))
        ours = drawn(measured, images)
        alone = _alone(ours, policy, of_paper=rules == "paper")
        found[FIRST].append(_judged(alone, policy, None, measured))
        if champion:
            beside = _beside(ours, drawn(champion, images), policy, of_paper=rules == "paper")
            found[BESIDE].append(_judged(alone + beside, policy, _VERSIONS[0], measured))
    return found


_VERSIONS = tuple(ModelVersion(name="calibration", version=v, run_id=None, digest=str(v)) for v in (1, 2))


def _judged(
    summaries: tuple[MetricSummary, ...], policy: Policy, champion: ModelVersion | None, measured: Measurement
) -> Verdict:
    names = tuple(f"class {u}" for u in range(measured.logits.shape[1]))
    return judge(_VERSIONS[1], summaries, policy, baseline=champion, class_names=names)[0]


def _alone(ours: Drawn, policy: Policy, *, of_paper: bool) -> tuple[MetricSummary, ...]:
    """As `case_monitor.judging.trial` puts it together, without figures that no rule asks for: each is a bootstrap."""
    level, shown, scores = policy.confidence_level, policy.gate_method, ours.scores
    num_classes = ours.preds.logits.shape[1]
    confmat = confusion_matrix(ours.preds, num_classes)
    classes = class_metrics(confmat, np.zeros(num_classes), level)
    broken = int((~ours.preds.defined).sum())
    summaries = model_summaries(confmat, classes, broken, policy, 0) + ours.same_answers(level)
    if of_paper:
        one_class = replace(scores, target=np.zeros_like(scores.target))
        return summaries + explanation_summaries(one_class, protocol_of(shown), policy)
    empty = int(np.isnan(scores.values[shown, "agreement"]).sum())
    whole = int((~scores.broken).sum())
    rates = (("agreement_degenerate_rate", shown, empty), ("finite_passes", "", whole))
    rows = (
        rate_row(metric, of, count, len(scores.target), confidence_level=level, reference=0.0)
        for metric, of, count in rates
    )
    return (*summaries, *rows, *contrast_summaries(scores, level))


def _beside(ours: Drawn, champion: Drawn, policy: Policy, *, of_paper: bool) -> tuple[MetricSummary, ...]:
    protocol = protocol_of(policy.gate_method)
    asked = protocol if of_paper else replace(protocol, methods=(), areas=())
    return comparison_summaries(ours.measured, champion.measured, {}, asked, policy.confidence_level)
