"""Which model's version is a copy of which template, when, and under which ids: temporary tables to join with.

A model walks through the cycle of the templates lap by lap. `lag` is what its version numbers are ahead of the
templates' in a lap. `factor` is what a version's scores are multiplied by, see `generated_copies`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, MetaData, Table, insert, text

from case_monitor.domain.status import Status
from case_monitor.store.tables import AlertRow, name_digest
from tests.support.generated_templates import EPOCH, PERIOD, STEP, Template

KEPT_PER_IMAGE = 3
"""What is stored per image is kept of so many versions of each model, as after `case-monitor db prune`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeModel:
    """A model to be.

    Attributes:
        number: from 0.
        name: as registered.
        class_names: ten.
        start: where in the cycle its first version is.
        first_at, step_s: when that was evaluated, and how many seconds apart the others are.
    """

    number: int
    name: str
    class_names: Sequence[str]
    start: int
    first_at: datetime
    step_s: float


def plan(
    connection: Connection,
    templates: Iterable[Template],
    states: Mapping[int, Sequence[Mapping[str, Any]]],
    models: Sequence[MadeModel],
    versions: int,
) -> None:
    """Make the tables `made_models`, `made_evaluations` and `made_alerts`.

    Args:
        connection: in whose session they are.
        templates: what is to be copied.
        states: position in the cycle -> rows of `alerts` when its version's time was over.
        models: that are to be.
        versions: of each.
    """
    _make_models(connection, models)
    _make_slots(connection, templates)
    _make_states(connection, states)
    values = {
        "versions": versions,
        "kept": KEPT_PER_IMAGE,
        "period": PERIOD,
        "epoch": EPOCH,
        "step_s": STEP.total_seconds(),
    }
    for statement in (_EVALUATIONS, _ALERTS, "CREATE INDEX ON made_alerts (number, lap, template_id)"):
        connection.execute(text(statement), values if ":" in statement else {})
    connection.execute(text("ANALYZE made_evaluations, made_alerts"))


def _make_models(connection: Connection, models: Sequence[MadeModel]) -> None:
    connection.execute(text(_MODELS))
    rows = [
        {
            "number": model.number,
            "name": model.name,
            "name_digest": name_digest(model.name),
            "class_names": list(model.class_names),
            "quoted": [repr(name) for name in model.class_names],
            "start": model.start,
            "first_at": model.first_at,
            "step_s": model.step_s,
        }
        for model in models
    ]
    names = rows[0].keys()
    statement = f"INSERT INTO made_models ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    connection.execute(text(statement), rows)


def _make_slots(connection: Connection, templates: Iterable[Template]) -> None:
    flags = ("is_first", "is_extra", "passed")
    columns = [Column(name, Integer) for name in ("template_id", "position")]
    table = _temporary("template_slots", [*columns, *(Column(name, Boolean) for name in flags)])
    table.create(connection)
    rows = [
        {
            "template_id": template.evaluation_id,
            "position": template.position,
            "is_first": template.is_first,
            "is_extra": template.is_extra,
            "passed": template.evaluation.verdict.status is Status.PASS,
        }
        for template in templates
    ]
    connection.execute(insert(table), rows)


def _make_states(connection: Connection, states: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    columns = [Column(column.name, column.type) for column in AlertRow.__table__.columns]
    table = _temporary("template_states", [Column("after", Integer), *columns])
    table.create(connection)
    rows = [{"after": position, **row} for position, alerts in states.items() for row in alerts]
    connection.execute(insert(table), rows)


def _temporary(name: str, columns: Sequence[Column[Any]]) -> Table:
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"])


_MODELS = """
CREATE TEMPORARY TABLE made_models (
    number integer PRIMARY KEY, name text, name_digest text, class_names text[], quoted text[],
    start integer, first_at timestamptz, step_s double precision
)"""

# A number in [0, 1) that follows from a version.
_SHARE = "(('x' || substr(md5(number || '/' || {version}), 1, 6))::bit(24)::integer / 16777216.0::double precision)"
_FACTOR = f"(1 - 0.06 * {_SHARE})"
_EVALUATIONS = f"""
CREATE TEMPORARY TABLE made_evaluations AS
SELECT
    row_number() OVER (ORDER BY at, number)::integer AS id, number, version, template_id, position, is_first, is_extra,
    number * :versions + version AS model_version_id, lap, lag, at, {_SHARE.format(version="version")} AS share,
    version > :versions - :kept AS keeps_scores,
    CASE WHEN passed THEN {_FACTOR.format(version="version")} ELSE 1 END AS factor,
    CASE WHEN passed THEN {_FACTOR.format(version="coalesce(baseline_version + lag, 0)")} ELSE 1 END AS baseline_factor,
    at - (CAST(:epoch AS timestamptz) + position * :step_s * interval '1 second') AS shift
FROM (
    SELECT
        model.number, version, slot.*, template.baseline_version,
        (model.start + version - 1 - slot.position) / :period AS lap,
        version - 1 - slot.position AS lag,
        model.first_at
            + (version - 1 + CASE WHEN slot.is_extra THEN 0.8 ELSE 0 END) * model.step_s * interval '1 second' AS at
    FROM made_models AS model
    CROSS JOIN generate_series(1, :versions) AS version
    JOIN template_slots AS slot
        ON slot.is_first = (version = 1 AND NOT slot.is_extra)
        AND slot.position % :period = (model.start + version - 1) % :period
        AND (slot.position > 0 OR slot.is_first)
    JOIN template_evaluations AS template ON template.id = slot.template_id
) AS planned"""

_ALERTS = """
CREATE TEMPORARY TABLE made_alerts AS
SELECT
    row_number() OVER (ORDER BY state.opened_at + lap * :period * :step_s * interval '1 second', number)::integer AS id,
    number, lap, state.id AS template_id, state.after, lap * :period - start AS lag
FROM made_models
CROSS JOIN LATERAL generate_series(0, (start + :versions - 1) / :period) AS lap
JOIN template_states AS state
    ON state.after = CASE
        WHEN lap = (start + :versions - 1) / :period THEN (start + :versions - 1) % :period ELSE :period
    END
    AND (lap > 0 OR state.opened_at >= CAST(:epoch AS timestamptz) + start * :step_s * interval '1 second')"""
