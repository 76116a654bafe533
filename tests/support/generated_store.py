"""A results database as it is after two years: 50 models of 200 versions, and one with a thousand classes.

    python -m tests.support.generated_store postgresql+psycopg2://...   (an empty, migrated database)

A cycle of eight versions is saved with the real functions (`generated_templates`); PostgreSQL multiplies its rows
(`generated_copies`). No notices are made: all are long sent.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, create_engine, select, update

from case_monitor.alerts.life import EvaluationRun, Scope
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.measuring.gallery import GALLERY_SIZE
from case_monitor.store.connection import writing
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.tables import AlertRow, EvaluationRow
from case_monitor.store.write import acknowledge, mark_promotion_applied, mute, record_promotion, save_evaluation
from tests.support.factories import a_gallery
from tests.support.generated_copies import copy_all, take_away
from tests.support.generated_measurements import Traits, evaluated, measure, version_of
from tests.support.generated_plan import MadeModel, plan
from tests.support.generated_templates import ALIAS, STARTS, save_templates

HOSTILE_NAME = """it's "quoted" <script>alert('model')</script> 50% & more?x=1#top/../äöü 日本語 """.ljust(200, "x")
LARGE_NAME = "imagenet-like"
SPAN = timedelta(days=730)
KINDS = ("digits", "flowers", "birds", "parcels", "leaves", "welds", "tiles", "cells", "faces", "signs")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SCRIPT_CLASS = "<script>alert(1)</script>"
LONG_CLASS = """the "other" kind of 'thing' """.ljust(120, "y")

Say = Callable[[str], None]


def fill(
    engine_or_url: Engine | str,
    *,
    models: int = 50,
    versions: int = 200,
    classes_large: int = 1000,
    until: datetime | None = None,
    say: Say = lambda _: None,
) -> None:
    """Fill an empty, migrated PostgreSQL database.

    Args:
        engine_or_url: of the database.
        models: with ten classes each; the first has `HOSTILE_NAME`, the second and the third the odd classes.
        versions: of each.
        classes_large: of the model `LARGE_NAME`; 0 for no such model.
        until: when the story ends, by default now.
        say: is told what was done.
    """
    engine = create_engine(engine_or_url) if isinstance(engine_or_url, str) else engine_or_url
    until = until or datetime.now(UTC)
    states: dict[int, list[dict[str, Any]]] = {}
    templates = save_templates(engine, lambda position: states.update({position: _alerts(engine)}))
    say(f"saved {len(templates)} templates")
    with engine.begin() as connection:
        take_away(connection)
        plan(connection, templates, states, _models(models, versions, until), versions)
        copy_all(connection)
    say(f"made {models} models of {versions} versions")
    _treat_alerts(engine)
    if classes_large:
        _save_large(engine, classes_large, until)
        say(f"saved {LARGE_NAME}")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    say("analysed")


def _alerts(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(AlertRow.__table__)).mappings()]


def _models(count: int, versions: int, until: datetime) -> list[MadeModel]:
    step = SPAN / versions
    return [
        MadeModel(
            number=number,
            name=_name(number),
            class_names=_class_names(number),
            start=STARTS[number % len(STARTS)],
            first_at=until - SPAN - number / count * step * 0.5,
            step_s=step.total_seconds(),
        )
        for number in range(count)
    ]


def _name(number: int) -> str:
    return HOSTILE_NAME if number == 0 else f"{KINDS[number % len(KINDS)]}-{number:02d}"


def _class_names(number: int) -> tuple[str, ...]:
    odd = {1: SCRIPT_CLASS, 2: LONG_CLASS}.get(number)
    return (*THINGS[:-1], odd or THINGS[-1])


def _treat_alerts(engine: Engine) -> None:
    """People have looked at some of the open alerts."""
    for i, alert in enumerate(load_alert_lives(engine)):
        if i % 4 == 1:
            acknowledge(engine, alert.id, "Ada <ada@example.org>")
        elif i % 4 == 2:
            mute(engine, alert.id, datetime.now(UTC) + timedelta(days=7), "known; a fix is under way", "Ann")


def _save_large(engine: Engine, num_classes: int, until: datetime) -> None:
    """Two versions of a model with many classes; the second fails."""
    supports = np.full(num_classes, 20)
    names = tuple(f"class {i} of {num_classes}" for i in range(num_classes))
    lost = num_classes * 2  # a tenth of the images
    traits = [Traits(seed=100), Traits(seed=101, lost=lost)]
    champion = None
    for number, one in enumerate(traits, 1):
        model, found = version_of(LARGE_NAME, number), measure(one, supports, wrong=0.24)
        evaluation = evaluated(model, found, names, baseline=champion, duration_s=5400.0)
        at = until - timedelta(days=30 * (len(traits) - number) + 1)
        run = EvaluationRun(id=f"large {number}", started_at=at, scope=Scope.CANDIDATE)
        evaluation_id = save_evaluation(engine, evaluation, run, a_gallery(evaluation, side=64, rows=GALLERY_SIZE))
        with writing(engine) as connection:
            mine = update(EvaluationRow).where(EvaluationRow.id == evaluation_id)
            connection.execute(mine.values(created_at=at, updated_at=at))
        passed = evaluation.verdict.status is Status.PASS
        promotion = Promotion(
            model_name=LARGE_NAME,
            alias=ALIAS,
            version=number,
            previous_version=champion[0].version if champion else None,
            decision=Decision.PROMOTED if passed else Decision.WITHHELD,
            evaluation_id=evaluation_id,
            reason=evaluation.verdict.sentence,
        )
        mark_promotion_applied(engine, record_promotion(engine, promotion))
        champion = (model, found) if passed else champion


def main() -> None:
    started = time.perf_counter()
    fill(sys.argv[1], say=lambda what: print(f"{time.perf_counter() - started:6.1f} s  {what}", flush=True))  # noqa: T201 - a program


if __name__ == "__main__":
    main()
