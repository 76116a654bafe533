"""The diagnostics that were switched on, of every method, beside those of random maps."""

from collections.abc import Iterable
from dataclasses import dataclass

from case_monitor.dashboard.pages.evaluation.methods_table import ShownFigure
from case_monitor.domain.arrays import defined
from case_monitor.domain.diagnostics import RANDOM_MAP, SCORES, VS_RANDOM, Score
from case_monitor.domain.metric import Unit
from case_monitor.domain.metrics import row_of
from case_monitor.domain.summary import MetricSummary

_SMALL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticCell:
    """A method's figure; p (Holm) is against random maps. `best`: no other method has a better one."""

    figure: ShownFigure | None
    without: int
    p_random: float | None
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticRow:
    """A score of a diagnostic: one cell for each method, in their order, and that of random maps.

    `digits` behind the point tell its values apart.
    """

    title: str
    words: str
    direction: str
    is_share: bool
    digits: int
    cells: tuple[DiagnosticCell, ...]
    control: ShownFigure | None


def diagnostics_table(stored: Iterable[MetricSummary], methods: Iterable[str]) -> tuple[DiagnosticRow, ...]:
    """From the figures over all classes; nothing where no diagnostic was measured."""
    figures = {(figure.metric, figure.method): figure for figure in stored}
    measured = {metric for metric, _ in figures}
    return tuple(_row(figures, score, tuple(methods)) for score in SCORES.values() if score.name in measured)


def _row(figures: dict[tuple[str, str], MetricSummary], score: Score, methods: tuple[str, ...]) -> DiagnosticRow:
    found = [figures.get((score.name, method)) for method in methods]
    values = [value for figure in found if figure and (value := defined(figure.value)) is not None]
    best = (max if score.greater_is_better else min)(values, default=None)
    return DiagnosticRow(
        title=score.title,
        words=score.words,
        direction=row_of(score.name).direction,
        is_share=score.unit is Unit.SHARE,
        digits=3 if max(map(abs, values), default=1) >= _SMALL else 5,
        cells=tuple(
            DiagnosticCell(
                figure=ShownFigure.of(figure),
                without=figure.n_undefined if figure else 0,
                p_random=_p(figures.get((f"{score.name}{VS_RANDOM}", method))),
                best=figure is not None and best is not None and figure.value == best,
            )
            for method, figure in zip(methods, found, strict=True)
        ),
        control=ShownFigure.of(figures.get((score.name, RANDOM_MAP))),
    )


def _p(figure: MetricSummary | None) -> float | None:
    return None if figure is None else defined(figure.p_adjusted)
