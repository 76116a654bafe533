"""Rows by the million from those of some templates, made inside PostgreSQL.

All scores of a version that passed are those of its template times a factor a little below 1, and so are its figures:
means, medians, intervals, standard deviations and differences between methods all scale with the scores. Where a text
cites figures the version did not pass, and its factor is 1.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, Table, text

from case_monitor.store.tables import Base, ChildRow
from tests.support.generated_templates import CLASS_NAMES, EPOCH, NAME, PERIOD, STEP

PER_IMAGE = ("samples", "sample_scores", "gallery_images", "gallery_maps", "predictions")
_SCALED = "^(agreement_(mean|median)|(abs_|relative_)?confidence_drop_)"


def take_away(connection: Connection) -> None:
    """Move all rows into temporary tables `template_*`, and leave an empty database."""
    tables = list(Base.metadata.tables)
    for name in tables:
        connection.execute(text(f"CREATE TEMPORARY TABLE template_{name} AS TABLE {name}"))
    connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"))
    for table in _children():
        connection.execute(text(f"CREATE INDEX ON template_{table.name} (evaluation_id)"))
    for name in ("metric_summaries", "threshold_results"):
        connection.execute(text(f"ALTER TABLE template_{name} ADD scaled boolean, ADD of_baseline double precision"))
        connection.execute(text(f"UPDATE template_{name} SET scaled = metric ~ '{_SCALED}', of_baseline = 0"))
        connection.execute(text(_OF_BASELINE.format(name=name)))
    connection.execute(text("ANALYZE"))


def copy_all(connection: Connection) -> None:
    """Fill the tables as planned (`generated_plan`)."""
    with _without_indexes(connection):
        for name, (source, values) in _WHOLE.items():
            table = Base.metadata.tables[name]
            _copy(connection, table, source, values)
        connection.execute(text(_ALERT_MARKS))
        for table in _children():
            keeps = "AND made.keeps_scores" if table.name in PER_IMAGE else ""
            source = _CHILDREN.format(name=table.name, keeps=keeps)
            _copy(connection, table, source, {"evaluation_id": "made.id"} | _CHANGED.get(table.name, {}))
    for name in ("model_versions", "evaluations", "alerts", "promotions"):
        last = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name} HAVING count(*) > 0"
        connection.execute(text(last))


def _children() -> list[Table]:
    """The parts of an evaluation, parents before children."""
    names = {child.__tablename__ for child in ChildRow.__subclasses__()}
    return [table for table in Base.metadata.sorted_tables if table.name in names]


def _copy(connection: Connection, table: Table, source: str, values: Mapping[str, str]) -> None:
    columns = table.columns.keys()
    selected = ", ".join(values.get(name, f"source.{name}") for name in columns)
    connection.execute(text(f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {selected} {source}"))


@contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Rows without constraints and indexes first, then those at once, which also checks what came in."""
    connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
    constraints = connection.execute(text(_CONSTRAINTS)).all()
    indexes = connection.execute(text(_INDEXES)).all()
    for table, name, _, _ in constraints:
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    for name, _ in indexes:
        connection.execute(text(f"DROP INDEX {name}"))
    yield
    for _, definition in indexes:
        connection.execute(text(definition))
    for table, name, definition, _ in reversed(constraints):
        connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"))


# Foreign keys first: they need the keys that they refer to.
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype = 'f' AS is_foreign
FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND contype IN ('f', 'p', 'u')
ORDER BY is_foreign DESC, 1, 2"""
_INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))"""

# What a difference from the baseline's figure is a difference from: both are scaled, each by its own factor.
_OF_BASELINE = """
UPDATE template_{name} AS row SET of_baseline = figure.value
FROM template_evaluations AS mine
JOIN template_model_versions AS champion ON champion.version = mine.baseline_version
JOIN template_evaluations AS its ON its.model_version_id = champion.id
JOIN template_metric_summaries AS figure ON figure.evaluation_id = its.id AND figure.class_idx IS NULL
WHERE mine.id = row.evaluation_id AND row.scaled AND row.class_idx IS NULL
AND figure.metric || '_vs_baseline' = row.metric AND figure.method = row.method"""


def _told(column: str, lag: str) -> str:
    """A text about a template's version, said of the model's own."""
    said = column
    for version in range(1, PERIOD + 2):
        said = f"replace({said}, '{NAME}/{version}', model.name || '/' || ({lag} + {version}))"
    for i, name in enumerate(CLASS_NAMES, 1):
        said = f"replace({said}, '''{name}''', model.quoted[{i}])"
    return said


def _sha256(of: str) -> str:
    return f"encode(sha256(convert_to({of}, 'UTF8')), 'hex')"


def _scaled(column: str) -> str:
    offset = "(made.factor - made.baseline_factor) * source.of_baseline"
    return f"CASE WHEN source.scaled THEN made.factor * source.{column} + {offset} ELSE source.{column} END"


def _moved(column: str) -> str:
    """A time in the templates' cycle as one in the model's."""
    steps = f"extract(epoch FROM source.{column} - {_EPOCH}) / {STEP.total_seconds()} + made.lag"
    return f"model.first_at + ({steps}) * model.step_s * interval '1 second'"


_EPOCH = f"timestamptz '{EPOCH.isoformat()}'"
_FIGURES = " || ', ' || ".join(f"to_char({_scaled(column)}, 'FM0.000')" for column in ("ci_low", "ci_high"))
_REASON = f"""
CASE WHEN source.scaled AND made.factor <> 1 THEN regexp_replace(
    source.reason, '^\\S+ \\[\\S+ \\S+\\]', to_char({_scaled("observed")}, 'FM0.000') || ' [' || {_FIGURES} || ']'
) ELSE source.reason END"""
_CLASS_NAME = "model.class_names[source.class_idx + 1]"

_DIGEST = _sha256("model.name || '/' || made.version")
_MADE = "FROM (SELECT * FROM made_evaluations ORDER BY id) AS made JOIN made_models AS model USING (number)"
# One evaluation after another, as they would have been saved, not one row of a template after another.
_CHILDREN = """
FROM (SELECT * FROM made_evaluations ORDER BY id) AS made
CROSS JOIN LATERAL (SELECT * FROM made_models AS m WHERE m.number = made.number OFFSET 0) AS model
CROSS JOIN LATERAL (
    SELECT * FROM template_{name} AS t WHERE t.evaluation_id = made.template_id {keeps} OFFSET 0
) AS source"""
_CHANGED = {
    "class_metrics": {"class_name": _CLASS_NAME},
    "sample_scores": {"value": "source.value * made.factor"},
    "metric_summaries": {name: _scaled(name) for name in ("value", "ci_low", "ci_high")}
    | {"sd": "CASE WHEN source.scaled THEN made.factor * source.sd ELSE source.sd END"},
    "threshold_results": {name: _scaled(name) for name in ("observed", "ci_low", "ci_high")} | {"reason": _REASON},
    "alert_observations": {
        "alert_id": """(
            SELECT a.id FROM made_alerts AS a
            WHERE a.number = made.number AND a.lap = made.lap AND a.template_id = source.alert_id
        )""",
        "message": _told("source.message", "made.lag"),
    },
}
_WHOLE = {
    "model_versions": (
        f"{_MADE} JOIN template_evaluations AS t ON t.id = made.template_id "
        "JOIN template_model_versions AS source ON source.id = t.model_version_id WHERE NOT made.is_extra",
        {
            "id": "made.model_version_id",
            "name": "model.name",
            "name_digest": "model.name_digest",
            "version": "made.version",
            "run_id": f"left({_DIGEST}, 32)",
        },
    ),
    "evaluations": (
        f"{_MADE} JOIN template_evaluations AS source ON source.id = made.template_id",
        {
            "id": "made.id",
            "model_version_id": "made.model_version_id",
            "model_digest": _DIGEST,
            "split_digest": _sha256("source.split_digest || model.name"),
            "baseline_digest": "CASE WHEN source.baseline_version IS NULL THEN '' ELSE "
            + _sha256("model.name || '/' || (source.baseline_version + made.lag)")
            + " END",
            "baseline_version": "source.baseline_version + made.lag",
            "class_names": "array_to_json(model.class_names)",
            "verdict_sentence": _told("source.verdict_sentence", "made.lag"),
            "mlflow_run_id": "md5('run of ' || made.id)",
            "mlflow_experiment_id": "model.number + 1",
            "flow_run_id": "md5('flow run of ' || made.id)::uuid",
            "created_at": "source.created_at + made.shift",
            "updated_at": "source.updated_at + made.shift",
            "duration_s": "source.duration_s * (0.8 + 0.4 * made.share)",
        },
    ),
    "alerts": (
        "FROM made_alerts AS made JOIN made_models AS model USING (number) "
        "JOIN template_states AS source ON source.id = made.template_id AND source.after = made.after",
        {
            "id": "made.id",
            "model_name": "model.name",
            "name_digest": "model.name_digest",
            "class_name": _CLASS_NAME,
            "version": "source.version + made.lag",
            "baseline_version": "source.baseline_version + made.lag",
            "message": _told("source.message", "made.lag"),
            **{name: _moved(name) for name in ("opened_at", "last_seen_at", "resolved_at")},
        },
    ),
    "promotions": (
        f"{_MADE} JOIN template_promotions AS source ON source.evaluation_id = made.template_id",
        {
            "id": "row_number() OVER (ORDER BY made.id)",
            "model_name": "model.name",
            "version": "made.version",
            "previous_version": "source.previous_version + made.lag",
            "evaluation_id": "made.id",
            "reason": _told("source.reason", "made.lag"),
            "decided_at": "source.decided_at + made.shift",
            "applied_at": "source.applied_at + made.shift",
        },
    ),
    "reproductions": (
        f"{_MADE} JOIN template_slots AS night ON night.position = made.position % {PERIOD} AND NOT night.is_extra "
        "AND NOT made.is_extra JOIN template_reproductions AS source ON source.evaluation_id = night.template_id",
        {
            "run_id": "md5(source.run_id || made.id)",
            "evaluation_id": "made.id",
            "started_at": f"made.at + extract(epoch FROM source.started_at - {_EPOCH} "
            f"- made.position % {PERIOD} * interval '{STEP.total_seconds()} seconds') / {STEP.total_seconds()} "
            "* model.step_s * interval '1 second'",
        },
    ),
}
_ALERT_MARKS = """
INSERT INTO alert_marks (name_digest, scope, run_id, started_at)
SELECT model.name_digest, scope, 'made', max(made.at) + model.step_s * 0.9 * interval '1 second'
FROM made_evaluations AS made JOIN made_models AS model USING (number)
CROSS JOIN (VALUES ('candidate'), ('production')) AS scopes (scope)
GROUP BY model.name_digest, scope, model.step_s"""
