"""What came out for each version: its figures on the whole pool, and its verdicts on samples of it."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.calibration.drawn import drawn
from benchmarks.calibration.kinds import Goal, Kind
from benchmarks.calibration.measurement import Measurement
from benchmarks.calibration.verdicts import Tally, policy_of, tally, verdicts
from benchmarks.calibration.versions import Kept, Version
from benchmarks.timing import say
from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.digests import digest
from case_monitor.domain.scores import FIDELITY_MARGIN
from case_monitor.judging.figures.contrast import contrast_summaries
from case_monitor.judging.statistics.intervals import standardised_mean_interval, wilson_interval

LEVEL = 0.95
_SAMPLE, _SAMPLES = 300, 2000
FIGURES = ("pair_contrast", "shown_contrast", "fidelity_dz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which verdicts are drawn: rules -> (sizes of the samples, draws of each)."""

    verdicts: dict[str, tuple[tuple[int, ...], int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one version, with one method shown.

    Attributes:
        figures: metric -> value on all images of the pool; NaN where there is none.
        fidelity_above: how often the interval of `fidelity_dz` of `_SAMPLE` images lies above that of the network.
        tallies: (rules, images, as a first version or beside a champion) -> verdicts.
    """

    version: Version
    shown: str
    accuracy: float
    figures: dict[str, float]
    fidelity_above: float
    tallies: dict[tuple[str, int, str], Tally]

    @property
    def kind(self) -> Kind:
        return self.version.kind


def result(kept: Kept, version: Version, shown: str, asked: Asked, *, champion: bool = True) -> Result:
    """Measured and judged, now or before."""
    measured = kept.measured(version, shown)
    beside = kept.champion(version.images, version.kind.mark, shown) if champion else None
    found: dict[tuple[str, int, str], Tally] = {}
    for rules, (sizes, draws) in asked.verdicts.items():
        for n in sizes:
            policy = digest(policy_of(rules, shown))[:12]
            file = kept.folder / "verdicts" / policy / f"{version.name}, {shown}, {n} of {kept.pool}"
            for against, counted in _tallies(file, measured, beside, rules, n, draws, version).items():
                found[rules, n, against] = counted
    whole = drawn(measured, np.arange(len(measured.target)))
    figures = {s.metric: s.value for s in contrast_summaries(whole.scores, LEVEL) if s.class_idx is None}
    return Result(
        version=version,
        shown=shown,
        accuracy=measured.accuracy,
        figures=figures,
        fidelity_above=_fidelity_above(measured.values[shown, FIDELITY_MARGIN]),
        tallies=found,
    )


def _fidelity_above(f: FloatArray) -> float:
    """With f as skewed and as heavy-tailed as this network's; NaN where there are too few."""
    defined = f[np.isfinite(f)]
    if len(defined) < _SAMPLE:
        return float("nan")
    samples = np.random.default_rng(0).choice(defined, (_SAMPLES, _SAMPLE))
    found = samples.mean(1) / samples.std(1, ddof=1)
    truth = float(defined.mean() / defined.std())
    return float(np.mean([standardised_mean_interval(d, _SAMPLE, LEVEL)[0] > truth for d in found.tolist()]))


def _tallies(
    file: Path,
    measured: Measurement,
    champion: Measurement | None,
    rules: str,
    n: int,
    draws: int,
    version: Version,
) -> dict[str, Tally]:
    file = file.with_name(f"{file.name}, {draws} draws{'' if champion else ', alone'}.json")
    if not file.exists():
        say(f"judging by {rules}: {version.name}, n = {n}")
        found = {of: tally(each) for of, each in verdicts(measured, champion, rules, n, draws).items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({of: asdict(counted) for of, counted in found.items()}))
        os.replace(unfinished, file)
    stored = json.loads(file.read_text())
    return {of: Tally(**{**counted, "statuses": tuple(counted["statuses"])}) for of, counted in stored.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of verdicts over several networks, whose draws are not independent of each other.

    Attributes:
        each: the share of every network.
    """

    each: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.each)) if self.each else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, as if each network were one verdict: however often one is judged, it is one network."""
        return wilson_interval(sum(self.each), len(self.each), LEVEL)

    def __str__(self) -> str:
        return percent(self.mean)


def percent(share: float) -> str:
    """Whole per cent, with a decimal where that would hide that it is not all or nothing; "" where there is none."""
    if math.isnan(share):
        return ""
    text = f"{100 * share:.0f}%"
    return f"{100 * share:.1f}%" if text in {"0%", "100%"} and share not in {0, 1} else text


def share(results: Iterable[Result], of: str, key: tuple[str, int, str]) -> Share:
    """A property of the tallies of every version."""
    return Share(each=tuple(getattr(r.tallies[key], of) for r in results if key in r.tallies))


def of_kinds(results: Sequence[Result], *kinds: str, held_out: bool) -> list[Result]:
    return [r for r in results if r.kind.name in kinds and r.version.held_out == held_out]


def with_goal(results: Sequence[Result], goal: Goal, *, held_out: bool) -> list[Result]:
    return [r for r in results if r.kind.goal is goal and r.version.held_out == held_out]
