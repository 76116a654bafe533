"""One model through its versions: figures by column, decisions, alerts."""

from collections.abc import Iterable, Sequence

from fastapi import HTTPException
from sqlalchemy import Engine

from case_monitor.dashboard.pages.model.record import AlertLine, By, Mark, Model, ModelQuery, Point, Series, VersionRow
from case_monitor.dashboard.parts.latest import latest_of_versions
from case_monitor.dashboard.parts.stored_settings import confidence_level, drop_suffixes, gate_limits, gate_suffix
from case_monitor.dashboard.shell.paging import turn
from case_monitor.dashboard.shell.rendering import address
from case_monitor.domain.arrays import defined
from case_monitor.domain.promotion import Decision
from case_monitor.domain.summary import MetricSummary
from case_monitor.settings import Settings
from case_monitor.store.read.alerts import StoredAlert, load_alert_lives, recently_resolved
from case_monitor.store.read.champions import champion_and_last_look
from case_monitor.store.read.evaluation_list import (
    EvaluationLine,
    EvaluationSettings,
    evaluation_lines,
    evaluation_settings,
)
from case_monitor.store.read.overrides import standing_override
from case_monitor.store.read.promotions import StoredPromotion, promotions
from case_monitor.store.read.summaries import overall_figures

MOST = 250
"""Points of a chart: more cannot be told apart, and make the page slow."""


def model(engine: Engine, settings: Settings, chosen: ModelQuery) -> Model:
    """Everything on a model's page.

    Raises:
        HTTPException: 404 for a model that was never evaluated; 400 for an area that was not measured.
    """
    lines = evaluation_lines(engine, chosen.name)
    if not lines:
        raise HTTPException(404, f"no version of model {chosen.name!r} was evaluated")
    last = latest_of_versions(lines)
    newest = last[0]
    stored = evaluation_settings(engine, newest.id)
    area = _area(chosen.area, stored)
    shown, left_out = _shown(lines, last, chosen.by)
    page, pages = turn(last, chosen.page, lambda number: _address(chosen, number))
    figures = _figures(engine, {line.id for line in (*shown, *page, newest)}, stored, area)
    decided = [p for p in promotions(engine, chosen.name) if p.alias == settings.alias]
    champion, last_look = champion_and_last_look(engine, chosen.name, settings.alias)
    override = standing_override(engine, chosen.name, settings.alias)
    rows = _Rows(figures, stored.gate_method, area, decided)
    return Model(
        chosen=chosen,
        name=chosen.name,
        champion=champion,
        override=override if override and override.version == champion else None,
        newest=rows.row(newest),
        sentence=newest.sentence,
        versions=len(last),
        last_check=max(filter(None, (lines[0].evaluated_at, last_look))),
        gate_method=stored.gate_method,
        methods=stored.methods,
        areas=drop_suffixes(stored),
        area=area,
        confidence_level=confidence_level(stored),
        limits=gate_limits(stored),
        points=tuple(map(_point, shown)),
        left_out=left_out,
        series=tuple(_series(key, found, shown) for key, found in figures.items()),
        marks=_marks(decided, shown, chosen.by),
        rows=tuple(map(rows.row, page)),
        pages=pages,
        alerts=tuple(map(_alert, load_alert_lives(engine, chosen.name))),
        resolved=tuple(map(_alert, recently_resolved(engine, chosen.name))),
    )


def _area(asked: str | None, stored: EvaluationSettings) -> str | None:
    known = drop_suffixes(stored)
    if asked is None:
        return gate_suffix(stored)
    if asked not in known:
        raise HTTPException(400, f"area: one of {', '.join(known) or 'none'} was expected, {asked!r} came")
    return asked


def _shown(lines: Sequence[EvaluationLine], last: list[EvaluationLine], by: By) -> tuple[list[EvaluationLine], int]:
    """The points of the charts, in order, and how many are older than those."""
    newest_first = last if by is By.VERSION else lines
    return list(reversed(newest_first[:MOST])), max(len(newest_first) - MOST, 0)


def _address(chosen: ModelQuery, page: int) -> str:
    by = None if chosen.by is By.VERSION else chosen.by.value
    return address("", name=chosen.name, by=by, area=chosen.area, page=page) + "#versions"


def _figures(
    engine: Engine, ids: set[int], stored: EvaluationSettings, area: str | None
) -> dict[tuple[str, str], dict[int, MetricSummary]]:
    methods = tuple(dict.fromkeys((stored.gate_method, *stored.methods)))
    of_methods = ["agreement_median", "agreement_degenerate_rate", "baseline_agreement"]
    of_methods += [f"confidence_drop_{area}"] if area else []
    of_model = dict.fromkeys(("accuracy", "pair_contrast", "contrast_jaccard"), ("",))
    return overall_figures(engine, ids, of_model | dict.fromkeys(of_methods, methods))


def _point(line: EvaluationLine) -> Point:
    return Point(
        evaluation_id=line.id,
        version=line.version,
        at=line.evaluated_at,
        verdict=line.verdict,
        in_production=line.in_production,
    )


def _series(key: tuple[str, str], found: dict[int, MetricSummary], shown: Sequence[EvaluationLine]) -> Series:
    rows = [found.get(line.id) for line in shown]
    return Series(
        metric=key[0],
        method=key[1],
        value=tuple(defined(row.value) if row else None for row in rows),
        ci_low=tuple(defined(row.ci_low) if row else None for row in rows),
        ci_high=tuple(defined(row.ci_high) if row else None for row in rows),
    )


def _marks(decided: Iterable[StoredPromotion], shown: Sequence[EvaluationLine], by: By) -> tuple[Mark, ...]:
    """Versions that took the alias or were withheld, of those shown; along versions the last decision on each."""
    marks: dict[object, Mark] = {}
    versions = {line.version for line in shown}
    for p in decided:
        if p.decision is Decision.KEPT or p.version not in versions:
            continue
        mark = Mark(
            evaluation_id=p.evaluation_id,
            version=p.version,
            at=p.decided_at,
            decision=p.decision,
            applied=p.applied_at is not None,
            reason=p.reason,
        )
        marks.setdefault(p.version if by is By.VERSION else p.id, mark)
    return tuple(reversed(marks.values()))


class _Rows:
    """Lines of the table of versions."""

    def __init__(
        self,
        figures: dict[tuple[str, str], dict[int, MetricSummary]],
        gate_method: str,
        area: str | None,
        decided: Iterable[StoredPromotion],
    ) -> None:
        self._figures, self._gate_method, self._area = figures, gate_method, area
        self._decisions: dict[int, Decision] = {}
        for p in decided:
            self._decisions.setdefault(p.version, p.decision)

    def row(self, line: EvaluationLine) -> VersionRow:
        """A version as it was evaluated last."""
        compared = line.baseline_version if line.baseline_version != line.version else None
        return VersionRow(
            version=line.version,
            evaluation_id=line.id,
            verdict=line.verdict,
            decision=self._decisions.get(line.version),
            accuracy=self._value("accuracy", "", line.id),
            pair_contrast=self._value("pair_contrast", "", line.id),
            agreement=self._value("agreement_median", self._gate_method, line.id),
            drop=self._value(f"confidence_drop_{self._area}", self._gate_method, line.id),
            degenerate=self._value("agreement_degenerate_rate", self._gate_method, line.id),
            evaluated_at=line.evaluated_at,
            baseline_version=compared,
        )

    def _value(self, metric: str, method: str, evaluation_id: int) -> float | None:
        figure = self._figures.get((metric, method), {}).get(evaluation_id)
        return defined(figure.value) if figure else None


def _alert(stored: StoredAlert) -> AlertLine:
    return AlertLine(
        id=stored.id,
        severity=stored.severity,
        status=stored.status,
        version=stored.version,
        message=stored.message,
        advice=stored.advice,
        opened_at=stored.opened_at,
        resolved_at=stored.resolved_at,
        resolution=stored.resolution,
    )
