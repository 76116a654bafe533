"""The size of every test and the coverage of every interval in use, where the null hypothesis is true.

Agreement is a ratio of pixel counts: it is skewed, and it has ties. So besides normal values there are skewed ones,
values in steps of 0.1, and values of which half are 0. The intervals of the rules of contrast are asked of what those
are made of: shares with ties, standardised means of skewed and heavy-tailed values, likeness over all pairs of images.
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
    pair_mean_interval,
    paired_bootstrap_interval,
    standardised_mean_interval,
    wilson_interval,
)
from case_monitor.measuring.position import POSITION, positions

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


def _standardised(draw: Draw, mean: float, sd: float) -> Draw:
    return lambda rng, n: (draw(rng, n) - mean) / sd


MARGINS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0.0, 1.0, n),
    "right-skewed": _standardised(lambda rng, n: rng.exponential(1.0, n), 1.0, 1.0),
    "left-skewed": _standardised(lambda rng, n: -rng.exponential(1.0, n), -1.0, 1.0),
    "heavy-tailed (t, 5 df)": _standardised(lambda rng, n: rng.standard_t(5, n), 0.0, (5 / 3) ** 0.5),
}
"""With mean 0 and SD 1."""
_SIDE, _SQUARE, _JITTER = 32, 7, 3
_SCATTERED = {"scattered places": 1.0, "one place, jittered": 0.0, "half in one place": 0.5}
"""Where the model looks -> the share of the images of which it is anywhere."""


def table(*, quick: bool) -> str:
    """Markdown: how often each test rejects a true null hypothesis, and each interval misses the truth."""
    lines = [
        "| test or interval | values | n | nominal | found, with 95% interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, values, n, nominal, wrong, total in _experiments(60 if quick else 400):
        low, high = wilson_interval(wrong, total, _LEVEL)
        lines.append(f"| {name} | {values} | {n} | {nominal:.1%} | {wrong / total:.1%} ({low:.1%} to {high:.1%}) |")
    return "\n".join(lines)


def table_of_margins(*, quick: bool) -> str:
    """Markdown: the same of the intervals of the rules of contrast, and how often what is at the limit passes."""
    found: dict[tuple[str, str], list[str]] = {}
    for n in _SIZES:
        for name, values, truth, intervals in _of_margins(n, 200 if quick else 4000):
            missed = sum(not low <= truth <= high for low, high in intervals) / len(intervals)
            above = sum(low > truth for low, _ in intervals) / len(intervals)
            found.setdefault((name, values), []).extend([f"{missed:.1%}", f"{above:.1%}"])
    heads = [f"{what}, n = {n}" for n in _SIZES for what in ("misses", "lies above")]
    lines = [f"| interval | of | {' | '.join(heads)} |", f"| --- | --- |{' --- |' * len(heads)}"]
    lines += [f"| {name} | {values} | {' | '.join(cells)} |" for (name, values), cells in found.items()]
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


def _of_margins(n: int, runs: int) -> Iterator[tuple[str, str, float, list[tuple[float, float]]]]:
    """(interval, what of, the truth, what was found) of contrast, of `fidelity_dz` and of `position`."""
    say(f"tests: margins, n = {n}")
    rng = np.random.default_rng(n)
    for share, ties in ((0.5, 0.0), (0.5, 0.2), (0.85, 0.0), (0.85, 0.1), (0.85, 0.2), (0.95, 0.05)):
        cells = rng.multinomial(n, [share - ties / 2, ties, 1 - share - ties / 2], runs)
        intervals = [wilson_interval(wins + tied / 2, n, _LEVEL) for wins, tied, _ in cells.tolist()]
        yield "Wilson's, ties counting half", f"a share of {share:g}, {ties:.0%} ties", share, intervals
    for name, draw in MARGINS.items():
        for d in (0.3, 0.6):
            yield "of d_z", f"{name}, d_z = {d:g}", d, [_of_d(draw(rng, n) + d) for _ in range(runs)]
    for name, scattered in _SCATTERED.items():
        likeness = float(_likeness(np.random.default_rng(1), 3000, scattered).mean())
        found = [pair_mean_interval(_likeness(rng, n, scattered), _LEVEL) for _ in range(max(runs // 10, 10))]
        yield "of position", f"{name}, {likeness:.2f}", likeness, found


def _of_d(values: FloatArray) -> tuple[float, float]:
    return standardised_mean_interval(float(values.mean() / values.std(ddof=1)), len(values), _LEVEL)


def _likeness(rng: np.random.Generator, n: int, scattered: float) -> FloatArray:
    """(n,) of places that are squares around a common point, or anywhere."""
    free = _SIDE - _SQUARE
    near = np.clip(np.rint(rng.normal(free / 2, _JITTER, (n, 2))), 0, free).astype(np.int64)
    corner = np.where(rng.random((n, 1)) < scattered, rng.integers(0, free + 1, (n, 2)), near)
    pixels = np.arange(_SIDE)
    rows, columns = ((pixels >= corner[:, i, None]) & (pixels < corner[:, i, None] + _SQUARE) for i in (0, 1))
    masks = rows[:, :, None] & columns[:, None, :]
    return positions(np.packbits(masks.reshape(n, -1), axis=1), np.zeros(n, dtype=np.int64))[POSITION]


def _of_families(runs: int) -> Iterator[tuple[str, str, int, float, int, int]]:
    """Any false rejection among the four rules of a gate (Holm) and among a hundred classes (Benjamini-Hochberg)."""
    rng = np.random.default_rng(0)
    for name, adjust, size in (
        ("Holm, any of 4 rules", holm, 4),
        ("Benjamini-Hochberg, any of 100", benjamini_hochberg, 100),
    ):
        wrong = sum(bool((adjust(rng.random(size)) <= 1 - _LEVEL).any()) for _ in range(runs))
        yield name, "independent p values", 0, 0.05, wrong, runs
