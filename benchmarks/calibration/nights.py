"""False alarms over time: a version in production whose figure lies exactly at its limit, on new data every night.

Nothing that is healthy is closer to an alarm than that. For shares of images the rate is computed over all possible
counts; for medians, whose intervals are drawn, it is simulated.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import binom

from benchmarks.calibration.tests_and_intervals import VALUES, truth
from benchmarks.timing import say
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.statistics.intervals import bootstrap_interval, wilson_interval
from case_monitor.judging.verdict import judge

_LEVEL = 0.95
_VERSION = ModelVersion(name="planted", version=1, run_id=None, digest="1")
_RUN_LENGTH = Policy().in_control_run_length


def table(*, quick: bool) -> str:
    """Markdown: false alarms per run length, of which one is the budget."""
    lines = [
        f"| figure, at its limit | n | false alarms in {_RUN_LENGTH} nights of new data |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {name} | {n} | {found} |" for name, n, found in _rows((100,) if quick else (100, 500), 4000)]
    return "\n".join(lines)


def _rows(sizes: tuple[int, ...], draws: int) -> Iterator[tuple[str, int, str]]:
    for n in sizes:
        for rate in (0.5, 0.9, 0.97):
            alarms = [k for k in range(n + 1) if _alarm(k / n, wilson_interval(k, n, _LEVEL), n, rate, greater=True)]
            expected = float(binom.pmf(alarms, n, rate).sum()) * _RUN_LENGTH
            yield f"share of images, {rate:.0%}", n, f"{expected:.2f}"
        for values, draw in VALUES.items():
            say(f"nights: {values}, n = {n}")
            median = truth(draw)[1]
            rng = np.random.default_rng(n)
            alarms = 0
            for _ in range(draws):
                x = draw(rng, n)
                interval = bootstrap_interval(x, np.median, _LEVEL, int(rng.integers(2**31)))
                alarms += _alarm(float(np.median(x)), interval, n, median, greater=False)
            low, high = (bound * _RUN_LENGTH for bound in wilson_interval(alarms, draws, _LEVEL))
            yield f"median, {values}", n, f"{alarms / draws * _RUN_LENGTH:.2f} ({low:.2f} to {high:.2f})"


def _alarm(value: float, interval: tuple[float, float], n: int, limit: float, *, greater: bool) -> bool:
    """Whether the gate says "fail" of a version in production under a policy with this one rule."""
    policy = Policy(thresholds=(Threshold(metric="accuracy", limit=limit, greater_is_better=greater),))
    row = MetricSummary(metric="accuracy", method="", value=value, n=n, ci_low=interval[0], ci_high=interval[1])
    verdict, _ = judge(_VERSION, [row], policy, baseline=None, class_names=("a", "b"), in_production=True)
    return verdict.status is Status.FAIL
