"""Tables of the ground truth benchmark, from maps to text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from benchmarks.ground_truth_networks import CASCADE, METHODS, ORACLE, RANDOM, Subject
from benchmarks.ground_truth_scores import Estimate, estimate, rank_correlation, shares, times_chance, upsampled
from benchmarks.planted import SIDE
from case_monitor.domain import methods
from case_monitor.domain.arrays import FloatArray
from case_monitor.measuring.class_sensitivity import agreement

# A gate of the monitor withholds a model whose maps for two classes agree this much: they count as the same.
SAME = 0.5
TITLES = {m.name: m.title for m in methods.METHODS.values()} | {RANDOM: "*random map*", ORACLE: "*knows the glyph*"}
BoolArray = npt.NDArray[np.bool_]
Compare = Callable[[Tensor, Tensor], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_markdown(self) -> str:
        """For docs/ground-truth.md."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])

    def as_text(self) -> str:
        """For a terminal."""
        lines = [[cell.replace("*", "") for cell in line] for line in (self.header, *self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        return "\n".join(
            [self.title, *("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines)]
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Maps (N, h, w) by method of one architecture, one dict per seed.

    Attributes:
        subjects: the trained networks.
        trained: their maps, and those of the controls.
        anew: step of the cascade -> the same with weights drawn anew.
    """

    subjects: Sequence[Subject]
    trained: Sequence[dict[str, Tensor]]
    anew: Mapping[str, Sequence[dict[str, Tensor]]]

    @property
    def asked(self) -> BoolArray:
        """(S, N): each seed is asked about the images that it classifies correctly."""
        return np.stack([subject.correct.numpy() for subject in self.subjects])


def usage(subjects: Sequence[Subject]) -> list[str]:
    """A row: what networks of one architecture reach, and with a part of the evidence hidden."""
    columns = (
        [s.accuracy for s in subjects],
        [s.errors_within_group for s in subjects],
        [s.correct.float().mean().item() for s in subjects],
        [s.hidden["unique"] for s in subjects],
        [s.hidden["shared"] for s in subjects],
    )
    return [
        subjects[0].network,
        *(f"{_percent(float(np.mean(c)))} ({_percent(min(c))} to {_percent(max(c))})" for c in columns),
    ]


USAGE_HEADER = ("network", "accuracy", "errors within the group", "all glyphs shown", "no unique", "no shared")


def localisation(found: Found, masks: dict[str, Tensor], unique: str, shared: str) -> Table:
    """How much of each method's top 5% falls on two of the regions, a row per method."""
    share = {
        (method, region): np.stack([shares(upsampled(maps[method], SIDE), masks[region]) for maps in found.trained])
        for method in (*METHODS, RANDOM, ORACLE)
        for region in (unique, shared)
    }
    times = {(method, region): _times_chance_by_seed(of, masks[region]) for (method, region), of in share.items()}
    rows = []
    for method in (*METHODS, RANDOM, ORACLE):
        on = [estimate(share[method, region], found.asked) for region in (unique, shared)]
        lifts = [estimate(times[method, region], found.asked) for region in (unique, shared)]
        less = estimate(times[method, unique] - times["case", unique], found.asked)
        rows.append(
            [
                TITLES[method],
                *(_percent(e.mean) for e in on),
                _percent(1 - on[0].mean - on[1].mean),
                *(_spread(e) for e in lifts),
                "" if method == "case" else _interval(less, "+"),
                str(lifts[0].n),
                _percent(lifts[0].undefined),
            ]
        )
    header = ("map", f"on {unique}", f"on {shared}", "elsewhere", f"{unique}, x chance", f"{shared}, x chance")
    title = f"{found.subjects[0].network}: where the top 5% of the pixels lie ({unique}, {shared})"
    return Table(title=title, header=(*header, f"{unique}, minus CASE's", "n", "no map"), rows=rows)


def _times_chance_by_seed(share: FloatArray, masks: Tensor) -> FloatArray:
    """(S, N)."""
    return np.stack([times_chance(of_seed, masks) for of_seed in share])


def randomisation(found: Found, measure: str) -> Table:
    """How much maps of a trained network are like those of the same network with weights drawn anew."""
    compare = MEASURES[measure]
    rows = []
    for method in METHODS:
        trained = [maps[method] for maps in found.trained]
        anew = {step: [maps[method] for maps in of] for step, of in found.anew.items()}
        likeness = {step: _likeness(compare, trained, maps) for step, maps in anew.items()}
        steps = {step: estimate(scores, found.asked) for step, scores in likeness.items()}
        retrained, asked_twice = _likeness(compare, trained, _next(trained)), found.asked & _next_asked(found.asked)
        several = len(found.subjects) > 1
        less = {step: estimate(retrained - scores, asked_twice) for step, scores in likeness.items()} if several else {}
        follows = likeness["everything"] - _likeness(compare, trained, [m.roll(1, 0) for m in anew["everything"]])
        rows.append(
            [
                TITLES[method],
                _number(estimate(retrained, asked_twice).mean) if several else "",
                *(_spread(e) for e in steps.values()),
                _interval(estimate(follows, found.asked), "+"),
                _percent(max(e.undefined for e in steps.values())),
                verdict(steps, less),
            ]
        )
    rows.append([TITLES[RANDOM], "", *_chance(compare, found), "", "", ""])
    header = ("map", "another seed", *CASCADE, "everything, minus another image's", "no map", "differs")
    title = f"{found.subjects[0].network}: {measure} with the trained network's maps, after drawing weights anew"
    return Table(title=title, header=header, rows=rows)


def _agreement(first: Tensor, second: Tensor) -> FloatArray:
    """As the monitor measures it: of maps at the image's size."""
    return np.asarray(agreement(upsampled(first, SIDE), upsampled(second, SIDE)).numpy())


MEASURES: dict[str, Compare] = {"agreement of the top 5%": _agreement, "rank correlation": rank_correlation}


def _likeness(compare: Compare, first: Sequence[Tensor], second: Sequence[Tensor]) -> FloatArray:
    """(S, N)."""
    return np.stack([compare(a, b) for a, b in zip(first, second, strict=True)])


def _next(maps: Sequence[Tensor]) -> list[Tensor]:
    return [*maps[1:], maps[0]]


def _next_asked(asked: BoolArray) -> BoolArray:
    return np.roll(asked, -1, axis=0)


def _chance(compare: Compare, found: Found) -> list[str]:
    random = [maps[RANDOM] for maps in found.trained]
    of_chance = estimate(_likeness(compare, random, [m.roll(1, 0) for m in random]), found.asked)
    return [_spread(of_chance)] + [""] * (len(CASCADE) - 1)


def verdict(steps: Mapping[str, Estimate], less: Mapping[str, Estimate]) -> str:
    """The steps after which maps differ: alike less than `SAME`, and less than those of another trained network."""
    passed = [step for step, e in steps.items() if e.high < SAME and (step not in less or less[step].low > 0)]
    if len(passed) == len(steps):
        return "yes"
    return "**not** after " + "; ".join(step for step in steps if step not in passed)


def _number(value: float, sign: str = "") -> str:
    return "n/a" if np.isnan(value) else f"{value:{sign}.2f}"


def _interval(e: Estimate, sign: str = "") -> str:
    return f"{_number(e.mean, sign)} [{_number(e.low, sign)}, {_number(e.high, sign)}]"


def _spread(e: Estimate) -> str:
    return f"{_interval(e)} ({_number(e.seed_low)} to {_number(e.seed_high)})"


def _percent(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{100 * value:.1f}%"
