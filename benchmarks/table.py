"""Rows of results: their spread over rounds, how they are shown, saved and compared with a saved table."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from benchmarks.ratios import Section
from benchmarks.timing import Round

# Ratios on a shared machine come back within this; a goal is missed when it is missed by more.
_NOISE = 0.15
# A check fails when this share of the saved speed is not reached: another machine may have another balance of
# memory and arithmetic, a lost optimisation costs more than that.
_CHECK_SHARE = 0.6
_PACKAGES = ("torch", "torchvision", "grad-cam", "torchcam", "captum", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A ratio over the rounds of a race.

    Attributes:
        name: what is compared.
        model: on which network.
        unit: see `benchmarks.ratios.Ratio`.
        goal: lower bound if the unit is "x", upper bound otherwise.
        median: of the ratios per round.
        p10, p90: percentiles of the same.
        rounds: how many.
        scaled: whether a part was measured on some of the channels and scaled to all.
        summed: whether several measurements make up what one program would do.
    """

    name: str
    model: str
    unit: str
    goal: float | None
    median: float
    p10: float
    p90: float
    rounds: int
    scaled: bool
    summed: bool

    @property
    def status(self) -> str:
        if self.goal is None:
            return ""
        reached = (
            self.median >= self.goal * (1 - _NOISE) if self.unit == "x" else self.median <= self.goal * (1 + _NOISE)
        )
        return "PASS" if reached else "MISS"


def rows(model: str, section: Section, race: Sequence[Round]) -> list[Row]:
    """The rows of a section, each over the rounds that all its contenders took part in."""
    found = []
    for ratio in section.ratios:
        values = [ratio.value(took) for took in race if ratio.needs <= took.keys()]
        p10, median, p90 = (float(v) for v in np.percentile(values, [10, 50, 90]))
        found.append(
            Row(
                name=ratio.title,
                model=model,
                unit=ratio.unit,
                goal=ratio.goal,
                median=median,
                p10=p10,
                p90=p90,
                rounds=len(values),
                scaled=any(section.contenders[name].scaled for name in ratio.needs),
                summed=ratio.summed,
            )
        )
    return found


def as_text(found: Sequence[Row]) -> str:
    """For a terminal."""
    cells = [("model", "row", "median", "p10 .. p90", "goal", "", "")]
    cells += [(r.model, r.name, _number(r.median, r.unit), _spread(r), _goal(r), r.status, _notes(r)) for r in found]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def as_markdown(found: Sequence[Row]) -> str:
    """For docs/performance.md: a line per row, a column per network."""
    models = list(dict.fromkeys(r.model for r in found))
    by_name: dict[str, dict[str, Row]] = {}
    for r in found:
        by_name.setdefault(f"{r.name} ({r.unit})", {})[r.model] = r
    lines = [_line(["", *models, "goal"]), _line(["---"] * (len(models) + 2))]
    for name, of in by_name.items():
        lines.append(_line([name, *(_cell(of.get(model)) for model in models), _goals(of)]))
    lines += ["", "Medians over rounds, and 10th to 90th percentile. s: scaled from some of the channels; +: summed."]
    return "\n".join(lines)


def save(path: Path, found: Iterable[Row]) -> None:
    """Write the rows and what they depend on."""
    table = {
        "versions": {package: version(package) for package in _PACKAGES},
        "threads": torch.get_num_threads(),
        "rows": [_rounded(asdict(r)) for r in found],
    }
    path.write_text(json.dumps(table, indent=1) + "\n")


def load(path: Path) -> list[Row]:
    """The rows that `save` wrote."""
    return [Row(**r) for r in json.loads(path.read_text())["rows"]]


def slower_than_saved(path: Path, found: Iterable[Row]) -> list[str]:
    """Speed-ups that fell far behind the saved table's; rows that it does not have are passed over."""
    saved = {(r.model, r.name): r for r in load(path)}
    behind = []
    for now in found:
        then = saved.get((now.model, now.name))
        if then is not None and now.unit == "x" and now.median < _CHECK_SHARE * then.median:
            behind.append(
                f"{now.model}: {now.name}: {_number(now.median, now.unit)}, saved {_number(then.median, then.unit)}"
            )
    return behind


def _rounded(row: dict[str, object]) -> dict[str, object]:
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}


def _number(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def _spread(r: Row) -> str:
    return f"{r.p10:.3g} .. {r.p90:.3g}" if abs(r.p90) < 100 else f"{r.p10:.0f} .. {r.p90:.0f}"


def _goal(r: Row) -> str:
    return "" if r.goal is None else f"{'>=' if r.unit == 'x' else '<='} {r.goal:g}"


def _goals(of: Mapping[str, Row]) -> str:
    """The goals of a row, with the networks where they differ."""
    goals = {model: _goal(r) for model, r in of.items() if r.goal is not None}
    if len(set(goals.values())) == 1:
        return next(iter(goals.values()))
    return ", ".join(f"{model} {goal}" for model, goal in goals.items())


def _notes(r: Row) -> str:
    return ", ".join(note for note, holds in (("scaled", r.scaled), ("summed", r.summed)) if holds)


def _cell(r: Row | None) -> str:
    if r is None:
        return ""
    marks = "s" * r.scaled + "+" * r.summed
    return f"{_number(r.median, '').strip()} ({_spread(r)}){' ' + marks if marks else ''}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
