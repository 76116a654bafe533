"""The size of every test and the coverage of every interval in use, where the null hypothesis is true.

Agreement is a ratio of pixel counts: it is skewed, and it has ties. So besides normal values there are skewed ones,
values in steps of 0.1, and values of which half are 0.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.timing import say
from case_monitor.domain.arrays import FloatArray
from case_monitor.judging.statistics.adjustment import benjamini_hochberg, holm
from case_monitor.judging.statistics.breach import p_value_of_breach
from case_monitor.judging.statistics.hypothesis_tests import Alternative, mcnemar_test, paired_t_test, wilcoxon_test
from case_monitor.judging.statistics.intervals import (
    bootstrap_interval,
    newcombe_paired_interval,
    paired_bootstrap_interval,
    wilson_interval,
)

Draw = Callable[[np.random.Generator, int], FloatArray]
_LEVEL = 0.95
_SIZES = (100, 500)


def _skewed(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.beta(1.2, 4.0, n)


def _left_skewed(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.beta(4.0, 1.2, n)


def _tied(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.binomial(10, 0.4, n) / 10


def _zeros(rng: np.random.Generator, n: int) -> FloatArray:
    return np.where(rng.random(n) < 0.45, 0.0, rng.beta(2.0, 3.0, n))


VALUES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0.4, 0.15, n),
    "right-skewed": _skewed,
    "left-skewed": _left_skewed,
    "tied, in steps of 0.1": _tied,
    "45% zeros": _zeros,
}


def table(*, quick: bool) -> str:
    """Markdown: how often each test rejects a true null hypothesis, and each interval misses the truth."""
    runs = 60 if quick else 400
    lines = [
        "| test or interval | values | n | nominal | found, with 95% interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, values, n, nominal, wrong, total in _experiments(runs):
        low, high = wilson_interval(wrong, total, _LEVEL)
        lines.append(f"| {name} | {values} | {n} | {nominal:.1%} | {wrong / total:.1%} ({low:.1%} to {high:.1%}) |")
    return "\n".join(lines)


def _experiments(runs: int) -> Iterator[tuple[str, str, int, float, int, int]]:
    """(test, values, n, nominal rate, times wrong, runs)."""
    for n in _SIZES:
        for values, draw in VALUES.items():
            say(f"tests: {values}, n = {n}")
            mean, median = truth(draw)
            tests: dict[str, tuple[float, Callable[[np.random.Generator], bool]]] = {
                "bootstrap interval of the mean": (0.05, partial(_misses, draw, n, np.mean, mean)),
                "bootstrap interval of the median": (0.05, partial(_misses, draw, n, np.median, median)),
                "breach of a limit that is the median": (0.025, partial(_breach, draw, n, median)),
                "Wilcoxon, one-sided, of the median": (0.05, partial(_wilcoxon, draw, n, median)),
                "paired t, two-sided": (0.05, partial(_paired_t, draw, n, "two-sided")),
                "paired t, one-sided": (0.05, partial(_paired_t, draw, n, "greater")),
                "paired Wilcoxon, two-sided": (0.05, partial(_paired_wilcoxon, draw, n)),
                "paired bootstrap, difference of means": (0.05, partial(_paired_misses, draw, n, np.mean)),
                "paired bootstrap, difference of medians": (0.05, partial(_paired_misses, draw, n, np.median)),
            }
            for name, (nominal, wrong) in tests.items():
                rng = np.random.default_rng([n, len(name)])
                yield name, values, n, nominal, sum(wrong(rng) for _ in range(runs)), runs
        yield from _of_counts(n, 10 * runs)
    yield from _of_families(10 * runs)


def truth(draw: Draw) -> tuple[float, float]:
    """Mean and median, from very many values."""
    many = draw(np.random.default_rng(1), 4_000_001)
    return float(many.mean()), float(np.median(many))


def _misses(draw: Draw, n: int, statistic: Callable[..., FloatArray], truth: float, rng: np.random.Generator) -> bool:
    low, high = bootstrap_interval(draw(rng, n), statistic, _LEVEL, int(rng.integers(2**31)))
    return not low <= truth <= high


def _breach(draw: Draw, n: int, limit: float, rng: np.random.Generator) -> bool:
    """The gate's question: is the median above its limit, which it equals?"""
    values = draw(rng, n)
    interval = bootstrap_interval(values, np.median, _LEVEL, int(rng.integers(2**31)))
    value = float(np.median(values))
    return p_value_of_breach(value, interval, limit, _LEVEL, n, greater_is_better=False) <= 1 - _LEVEL


def _wilcoxon(draw: Draw, n: int, median: float, rng: np.random.Generator) -> bool:
    return wilcoxon_test(draw(rng, n), median).p_value <= 1 - _LEVEL


def _pair(rng: np.random.Generator, draw: Draw, n: int) -> tuple[FloatArray, FloatArray]:
    """Exchangeable, and alike: half of the images have the same value in both versions."""
    first, second = draw(rng, n), draw(rng, n)
    return first, np.where(rng.random(n) < 0.5, first, second)


def _paired_t(draw: Draw, n: int, side: Alternative, rng: np.random.Generator) -> bool:
    return paired_t_test(*_pair(rng, draw, n), side).p_value <= 1 - _LEVEL


def _paired_wilcoxon(draw: Draw, n: int, rng: np.random.Generator) -> bool:
    first, second = _pair(rng, draw, n)
    return wilcoxon_test(first - second, 0.0, "two-sided").p_value <= 1 - _LEVEL


def _paired_misses(draw: Draw, n: int, statistic: Callable[..., FloatArray], rng: np.random.Generator) -> bool:
    low, high = paired_bootstrap_interval(*_pair(rng, draw, n), statistic, _LEVEL, int(rng.integers(2**31)))
    return not low <= 0 <= high


def _of_counts(n: int, runs: int) -> Iterator[tuple[str, str, int, float, int, int]]:
    rng = np.random.default_rng(n)
    for rate in (0.5, 0.9, 0.98):
        hits = rng.binomial(n, rate, runs)
        bounds = {h: wilson_interval(int(h), n, _LEVEL) for h in np.unique(hits).tolist()}
        missed = sum(not bounds[h][0] <= rate <= bounds[h][1] for h in hits.tolist())
        yield "Wilson's interval", f"rate {rate}", n, 0.05, missed, runs
    for accuracy, discordant, loss in ((0.9, 0.1, 0.0), (0.97, 0.04, 0.0), (0.94, 0.04, 0.03)):
        gained, lost = (discordant - loss) / 2, (discordant + loss) / 2
        both = accuracy - gained
        cells = rng.multinomial(n, [both, gained, lost, 1 - both - gained - lost], runs)
        values = f"accuracy {accuracy}, {discordant:.0%} discordant, {loss:.0%} lost"
        bounds2 = {tuple(c): newcombe_paired_interval(*c, _LEVEL) for c in np.unique(cells, axis=0).tolist()}
        intervals = [bounds2[tuple(c)] for c in cells.tolist()]
        missed = sum(not low <= -loss <= high for low, high in intervals)
        yield "Newcombe's paired interval", values, n, 0.05, missed, runs
        if loss:
            passed = sum(low > -loss for low, _ in intervals)
            yield "non-inferiority, exactly at the margin", values, n, 0.025, passed, runs
        else:
            p_values = {tuple(c): mcnemar_test(c[1], c[2]).p_value for c in np.unique(cells, axis=0).tolist()}
            rejected = sum(p_values[tuple(c)] <= 1 - _LEVEL for c in cells.tolist())
            yield "McNemar, exact", values, n, 0.05, rejected, runs


def _of_families(runs: int) -> Iterator[tuple[str, str, int, float, int, int]]:
    """Any false rejection among the four rules of a gate (Holm) and among a hundred classes (Benjamini-Hochberg)."""
    rng = np.random.default_rng(0)
    for name, adjust, size in (
        ("Holm, any of 4 rules", holm, 4),
        ("Benjamini-Hochberg, any of 100", benjamini_hochberg, 100),
    ):
        wrong = sum(bool((adjust(rng.random(size)) <= 1 - _LEVEL).any()) for _ in range(runs))
        yield name, "independent p values", 0, 0.05, wrong, runs
