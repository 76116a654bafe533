"""A cycle in a model's life, saved with the real functions: eight versions, of which three go into production.

What the versions are like, and what is stored of them, repeats from cycle to cycle; see `CYCLE`. The ninth version is
the first of the next cycle, compared with the last champion of this one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Engine, text

from case_monitor.alerts.life import EvaluationRun, Scope
from case_monitor.alerts.standing import ARTIFACT, REPRODUCTION, reproduction_alert
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.status import Status
from case_monitor.measuring.gallery import GALLERY_SIZE
from case_monitor.store.write import mark_promotion_applied, record_promotion, save_evaluation, save_reproduction
from tests.support.factories import a_gallery
from tests.support.generated_measurements import Measurement, Traits, evaluated, measure, version_of

NAME = "template-model"  # stands in texts in place of a model's name, as `template-model/1`
CLASS_NAMES = tuple(f"slot-{i}" for i in range(10))  # likewise, as `'slot-0'`
SUPPORTS = np.array([160, 140, 130, 60, 120, 110, 100, 80, 60, 40])
WEAK_CLASS = 9
ALIAS = "champion"

SHARED_ATTENTION = {"case": 0.9, "gradcam": 0.91, "gradcam++": 0.93, "ablationcam": 0.9, "layercam": 0.94}
CYCLE = (
    Traits(seed=10),
    Traits(seed=11, agreement=SHARED_ATTENTION, knows=0.2, gained=6),  # fails
    Traits(seed=12, agreement={"case": 0.5}, knows=1.1, lost=7),  # insufficient
    Traits(seed=13, agreement={"case": 0.25}, gained=9),
    Traits(seed=14, lost=80),  # fails: accuracy
    Traits(seed=15, agreement={"case": 0.31}, lost=16, lost_of=WEAK_CLASS, gained=12),  # passes with a warning
    Traits(seed=16, drop=-0.04),  # fails: fidelity
    Traits(seed=17, degenerate=0.35, gained=7),  # fails: degenerate maps
)
PERIOD = len(CYCLE)
STARTS = (0, 3)
"""Where in the cycle a model's first version may be: one that passes without a warning."""
BASELINES = (5, 0, 0, 0, 3, 3, 5, 5)
"""Whom each is compared with: the champion of its time."""
LOOKED_AGAIN_BADLY = 3  # whose figures did not come out one night

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
STEP = timedelta(days=1)
"""When the templates were made, and how far apart; what is copied from them is moved to its own time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """A stored evaluation to copy.

    Attributes:
        evaluation_id: of the stored one.
        evaluation: itself.
        position: in the cycle; 8 is 0 of the next one.
        is_first: a model's first version, compared with none.
        is_extra: the champion of its time, evaluated once more, on another split.
    """

    evaluation_id: int
    evaluation: Evaluation
    position: int
    is_first: bool = False
    is_extra: bool = False


def save_templates(engine: Engine, after_each: Callable[[int], None]) -> list[Template]:
    """Save a cycle into an empty database; `after_each` is called with its position when a version's time is over."""
    measured = [measure(traits, SUPPORTS) for traits in CYCLE]
    # Those of the models that begin later in the cycle come before everything, to meddle with nothing.
    saved = [_save_first(engine, measured, start) for start in STARTS[::-1]]
    for position in range(PERIOD + 1):
        if position:
            saved.append(_save(engine, measured, position))
        if position % PERIOD in BASELINES:
            _look_again_at_night(engine, saved[-1])
        if position == LOOKED_AGAIN_BADLY:
            saved.append(_save_extra(engine, measured, position))
        after_each(position)
    return saved


def started(position: int) -> datetime:
    """When the version at a position in the cycle was evaluated."""
    return EPOCH + position * STEP


def _save_first(engine: Engine, measured: list[Measurement], position: int) -> Template:
    evaluation = evaluated(version_of(NAME, position + 1), measured[position], CLASS_NAMES)
    evaluation_id = _store(engine, evaluation, position, Scope.CANDIDATE, run_at=started(-position))
    _decide(engine, evaluation, evaluation_id, position)
    return Template(evaluation_id=evaluation_id, evaluation=evaluation, position=position, is_first=True)


def _save(engine: Engine, measured: list[Measurement], position: int) -> Template:
    at = position % PERIOD
    champion = BASELINES[at]
    evaluation = evaluated(
        version_of(NAME, position + 1),
        measured[at],
        CLASS_NAMES,
        baseline=(version_of(NAME, champion + 1), measured[champion]),
        duration_s=180.0 + 17 * at,
    )
    evaluation_id = _store(engine, evaluation, position, Scope.CANDIDATE)
    _decide(engine, evaluation, evaluation_id, position)
    return Template(evaluation_id=evaluation_id, evaluation=evaluation, position=position)


def _save_extra(engine: Engine, measured: list[Measurement], position: int) -> Template:
    """The champion on a split that is new."""
    version = version_of(NAME, position + 1)
    evaluation = evaluated(version, measured[position], CLASS_NAMES, split_name="validation-2", in_production=True)
    evaluation_id = _store(engine, evaluation, position, Scope.PRODUCTION, run_at=started(position) + 0.8 * STEP)
    return Template(evaluation_id=evaluation_id, evaluation=evaluation, position=position, is_extra=True)


def _store(
    engine: Engine, evaluation: Evaluation, position: int, scope: Scope, *, run_at: datetime | None = None
) -> int:
    """Saved as if it were at its place in time, but for alerts as if it were at `run_at`."""
    run_at = run_at or started(position)
    run = EvaluationRun(id=f"run {run_at}", started_at=run_at, scope=scope)
    evaluation_id = save_evaluation(engine, evaluation, run, a_gallery(evaluation, side=64, rows=GALLERY_SIZE))
    saved = started(position) + timedelta(seconds=evaluation.duration_s)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE evaluations SET created_at = :saved, updated_at = :saved WHERE id = :id"),
            {"saved": saved, "id": evaluation_id},
        )
    return evaluation_id


def _decide(engine: Engine, evaluation: Evaluation, evaluation_id: int, position: int) -> None:
    passed = evaluation.verdict.status is Status.PASS
    promotion = Promotion(
        model_name=NAME,
        alias=ALIAS,
        version=evaluation.model.version,
        previous_version=evaluation.baseline.version if evaluation.baseline else None,
        decision=Decision.PROMOTED if passed else Decision.WITHHELD,
        evaluation_id=evaluation_id,
        reason=evaluation.verdict.sentence,
    )
    promotion_id = record_promotion(engine, promotion)
    mark_promotion_applied(engine, promotion_id)
    decided = started(position) + timedelta(seconds=evaluation.duration_s + 5)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE promotions SET decided_at = :decided, applied_at = :applied WHERE id = :id"),
            {"decided": decided, "applied": decided + timedelta(seconds=2), "id": promotion_id},
        )


def _look_again_at_night(engine: Engine, champion: Template) -> None:
    """Three nights; in one of them one of the champions gave other figures."""
    for night in range(3):
        at = started(champion.position) + (night + 1) * STEP / 5
        bad = champion.position == LOOKED_AGAIN_BADLY and night == 1
        _look_again(engine, champion, at, reproduced=not bad)


def _look_again(engine: Engine, champion: Template, at: datetime, *, reproduced: bool) -> None:
    found = Reproduction(
        n=50,
        changed_predictions=0 if reproduced else 2,
        confidence_difference=2e-6 if reproduced else 0.07,
        score_difference=1e-5 if reproduced else 0.04,
        worst="agreement of layercam",
    )
    evaluation = champion.evaluation
    alert = reproduction_alert(evaluation.model, found)
    seen = replace(
        evaluation,
        baseline=None,
        alerts=(*evaluation.alerts, *([alert] if alert else [])),
        looked_at=frozenset({ARTIFACT, REPRODUCTION}),
    )
    run = EvaluationRun(id=f"night {at}", started_at=at, scope=Scope.PRODUCTION)
    save_reproduction(engine, champion.evaluation_id, found, seen, run, "cuda:0", "2.13.0+cpu")
