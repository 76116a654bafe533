"""Alerts with a life. What was `alerts` is `alert_observations`; each old one becomes an alert of its own, resolved.

Nobody knows any more which of them were one alert, whose version held the alias, or what still holds: the first
evaluation after the upgrade opens what does.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OBSERVED = "evaluation_id, position, rule, method, class_idx, severity, status, observed, limit_value, message, advice"


def upgrade() -> None:
    # Dropped before it is made anew: on PostgreSQL the name of a primary key is unique among all tables.
    op.execute("CREATE TABLE old_alerts AS SELECT * FROM alerts")
    op.drop_table("alerts")
    _create_alerts()
    _create_observations("alert_observations", with_alert=True)
    op.create_index(op.f("ix_alert_observations_alert_id"), "alert_observations", ["alert_id"], unique=False)
    _create_marks_and_notices()
    connection = op.get_bind()
    connection.execute(
        sa.text(f"INSERT INTO alert_observations ({_OBSERVED}) SELECT {_OBSERVED} FROM old_alerts")  # noqa: S608 - our columns
    )
    op.drop_table("old_alerts")
    _give_each_a_resolved_life(connection)


def downgrade() -> None:
    op.drop_table("alert_notices")
    op.drop_table("alert_marks")
    op.execute(f"CREATE TABLE old_alerts AS SELECT {_OBSERVED} FROM alert_observations")  # noqa: S608 - as above
    op.drop_table("alert_observations")
    op.drop_table("alerts")
    _create_observations("alerts", with_alert=False)
    op.execute(f"INSERT INTO alerts ({_OBSERVED}) SELECT {_OBSERVED} FROM old_alerts")  # noqa: S608 - as above
    op.drop_table("old_alerts")


def _give_each_a_resolved_life(connection: sa.Connection) -> None:
    life, observation = _tables()
    query = sa.text(
        "SELECT o.*, e.class_names, e.updated_at, e.baseline_version, m.name, m.name_digest, m.version "
        "FROM alert_observations o JOIN evaluations e ON e.id = o.evaluation_id "
        "JOIN model_versions m ON m.id = e.model_version_id ORDER BY o.evaluation_id, o.position"
    ).columns(class_names=sa.JSON(), updated_at=sa.DateTime(timezone=True))
    for row in connection.execute(query).mappings().all():
        names, idx = row["class_names"], row["class_idx"]
        same = ("rule", "class_idx", "severity", "status", "observed", "limit_value", "message", "advice")
        values = {name: row[name] for name in (*same, "name_digest", "version", "baseline_version")} | {
            "model_name": row["name"],
            "scope": "candidate",
            "method": row["method"] or "",
            "class_name": names[idx] if idx is not None and idx < len(names) else None,
            "worst_severity": row["severity"],
            "worst_status": row["status"],
            **dict.fromkeys(("opened_at", "last_seen_at", "resolved_at"), row["updated_at"]),
            "observations": 1,
            "resolution": "from before alerts were followed from one evaluation to the next",
        }
        alert_id = connection.execute(life.insert().values(values).returning(life.c.id)).scalar_one()
        of_row = (observation.c.evaluation_id == row["evaluation_id"], observation.c.position == row["position"])
        connection.execute(observation.update().where(*of_row).values(alert_id=alert_id))


def _tables() -> tuple[sa.Table, sa.Table]:
    """As they are after this migration, whatever the package makes of them later."""
    metadata = sa.MetaData()
    connection = op.get_bind()
    life = sa.Table("alerts", metadata, autoload_with=connection)
    return life, sa.Table("alert_observations", metadata, autoload_with=connection)


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("name_digest", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("class_idx", sa.Integer(), nullable=True),
        sa.Column("class_name", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("baseline_version", sa.Integer(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("worst_severity", sa.Text(), nullable=False),
        sa.Column("worst_status", sa.Text(), nullable=False),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.Column("limit_value", sa.Double(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("muted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mute_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("scope IN ('production', 'candidate')", name=op.f("ck_alerts_scope")),
        sa.CheckConstraint("severity IN ('block', 'warn')", name=op.f("ck_alerts_severity")),
        sa.CheckConstraint("status IN ('pass', 'fail', 'insufficient')", name=op.f("ck_alerts_status")),
        sa.CheckConstraint("worst_severity IN ('block', 'warn')", name=op.f("ck_alerts_worst_severity")),
        sa.CheckConstraint("worst_status IN ('pass', 'fail', 'insufficient')", name=op.f("ck_alerts_worst_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    identity = ["name_digest", "scope", "rule", "method"]
    for name, columns, condition in (
        ("uq_alerts_open_overall", identity, "class_idx IS NULL"),
        ("uq_alerts_open_per_class", [*identity, "class_idx"], "class_idx IS NOT NULL"),
    ):
        where = sa.text(f"resolved_at IS NULL AND {condition}")
        op.create_index(name, "alerts", columns, unique=True, sqlite_where=where, postgresql_where=where)


def _create_observations(name: str, *, with_alert: bool) -> None:
    link: list[sa.Column[int] | sa.ForeignKeyConstraint] = []
    if with_alert:
        key = op.f(f"fk_{name}_alert_id_alerts")
        link = [
            sa.Column("alert_id", sa.Integer(), nullable=True),
            sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=key, ondelete="SET NULL"),
        ]
    op.create_table(
        name,
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *link,
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("class_idx", sa.Integer(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.Column("limit_value", sa.Double(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.CheckConstraint("severity IN ('block', 'warn')", name=op.f(f"ck_{name}_severity")),
        sa.CheckConstraint("status IN ('pass', 'fail', 'insufficient')", name=op.f(f"ck_{name}_status")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f(f"fk_{name}_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name=op.f(f"pk_{name}")),
    )


def _create_marks_and_notices() -> None:
    op.create_table(
        "alert_marks",
        sa.Column("name_digest", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("scope IN ('production', 'candidate')", name=op.f("ck_alert_marks_scope")),
        sa.PrimaryKeyConstraint("name_digest", "scope", name=op.f("pk_alert_marks")),
    )
    op.create_table(
        "alert_notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_to", sa.JSON(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('opened', 'worsened', 'still_open', 'resolved')", name=op.f("ck_alert_notices_kind")
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_alert_notices_alert_id_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_notices")),
    )
