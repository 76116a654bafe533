"""How often the gate cries wolf, how often it sleeps, and whether its tests keep their level.

The verdicts are of samples drawn from a large pool of generated images, on which versions of known health were
measured once: contrast sets come from other images, all else is as in an evaluation with the default policy. Every
rate has a 95% interval (Wilson). "withheld" is fail or insufficient: neither is promoted.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks import calibration_nights, calibration_tests
from benchmarks.calibration_models import PROTOCOL, Effort, accuracy, drawn, versions
from benchmarks.planted import CLASS_NAMES
from benchmarks.timing import say
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.confusion import class_metrics
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.figures.of_one_version import explanation_summaries, model_summaries
from case_monitor.judging.statistics.intervals import wilson_interval
from case_monitor.judging.verdict import judge
from tests.support.whole import confusion_matrix

_BUDGET, _CAUGHT = 0.05, 0.95
_POLICY = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a kind of version was withheld."""

    name: str
    healthy: bool
    accuracy: float
    n: int
    draws: int
    statuses: Counter[Status]
    causes: Counter[str]

    @property
    def withheld(self) -> int:
        return self.draws - self.statuses[Status.PASS]


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer versions, images and draws; under five minutes")
    parser.add_argument("--only", choices=["verdicts", "tests", "nights"], help="one of the tables")
    parser.add_argument("-n", nargs="+", type=int, default=[500], help="images of an evaluation (default: 500)")
    options = parser.parse_args(arguments)
    effort = Effort.quick() if options.quick else Effort()
    if options.only in {None, "verdicts"}:
        print(_verdict_table(_rates(effort, options.n)), end="\n\n")
    if options.only in {None, "tests"}:
        print(calibration_tests.table(quick=options.quick), end="\n\n")
    if options.only in {None, "nights"}:
        print(calibration_nights.table(quick=options.quick))
    return 0


def _rates(effort: Effort, sizes: list[int]) -> list[Rate]:
    found: list[Rate] = []
    champion: Measured | None = None
    for name, healthy, measured in versions(effort):
        champion = champion or measured
        for n in sizes:
            say(f"judging: {name}, n = {n}")
            rng = np.random.default_rng(n)
            statuses: Counter[Status] = Counter()
            causes: Counter[str] = Counter()
            for _ in range(effort.draws):
                images = np.sort(rng.choice(effort.pool, n, replace=False))
                verdict = _judge(drawn(measured, images), drawn(champion, images))
                statuses[verdict.status] += 1
                causes.update(r.threshold.metric for r in verdict.results if _withholds(r.status, r.threshold.severity))
            rate = Rate(
                name=name,
                healthy=healthy,
                accuracy=accuracy(measured),
                n=n,
                draws=effort.draws,
                statuses=statuses,
                causes=causes,
            )
            found.append(rate)
    return found


def _withholds(status: Status, severity: str) -> bool:
    return severity == "block" and status is not Status.PASS


def _judge(candidate: Measured, baseline: Measured) -> Verdict:
    """As `case_monitor.judging.evaluate.evaluate` does with what it measured.

    Figures per class are left out, all images being of one: none of them can withhold a version, and they are many.
    """
    confmat = confusion_matrix(candidate.preds, len(CLASS_NAMES))
    classes = class_metrics(confmat, np.zeros(len(CLASS_NAMES)), _POLICY.confidence_level)
    summaries = model_summaries(confmat, classes, 0, _POLICY, PROTOCOL.seed)
    scores = replace(candidate.scores, target=np.zeros_like(candidate.scores.target))
    summaries += explanation_summaries(scores, PROTOCOL, _POLICY)
    summaries += comparison_summaries(candidate, baseline, {}, PROTOCOL, _POLICY.confidence_level)
    version, champion = (ModelVersion(name="planted", version=v, run_id=None, digest=str(v)) for v in (2, 1))
    return judge(version, summaries, _POLICY, baseline=champion, class_names=CLASS_NAMES)[0]


def _verdict_table(rates: list[Rate]) -> str:
    lines = [
        "| candidate | accuracy | n | fail | insufficient | withheld, with 95% interval | goal | why |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rate in rates:
        low, high = wilson_interval(rate.withheld, rate.draws, 0.95)
        share = rate.withheld / rate.draws
        reached = "yes" if (share <= _BUDGET if rate.healthy else share >= _CAUGHT) else "NO"
        goal = f"at most {_BUDGET:.0%}" if rate.healthy else f"at least {_CAUGHT:.0%}"
        why = ", ".join(f"{metric} {count / rate.draws:.1%}" for metric, count in rate.causes.most_common(3))
        fail, unsure = (rate.statuses[s] / rate.draws for s in (Status.FAIL, Status.INSUFFICIENT))
        lines.append(
            f"| {rate.name} | {rate.accuracy:.3f} | {rate.n} | {fail:.1%} | {unsure:.1%} | "
            f"{share:.1%} ({low:.1%} to {high:.1%}) of {rate.draws} | {goal}: {reached} | {why} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
