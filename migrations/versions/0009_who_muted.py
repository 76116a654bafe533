"""Who muted an alert, and when: a token that many share does not tell.

The time also tells readers' pages that a mute changed, whatever it changed to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Replaced, not made anew: so those who were granted it may read it still.
VIEW_BEFORE = """
CREATE OR REPLACE VIEW case_monitor_alerts AS
SELECT
    id AS alert_id,
    model_name AS model,
    scope,
    rule,
    method,
    class_idx,
    class_name AS class,
    version,
    baseline_version,
    severity,
    status,
    worst_severity,
    worst_status,
    observed,
    limit_value,
    message,
    advice,
    resolved_at IS NULL AS is_open,
    resolved_at IS NULL AND acknowledged_at IS NOT NULL AS is_acknowledged,
    resolved_at IS NULL AND muted_until IS NOT NULL AND muted_until > CURRENT_TIMESTAMP AS is_muted,
    opened_at,
    last_seen_at,
    observations,
    resolved_at,
    resolution,
    acknowledged_at,
    acknowledged_by,
    muted_until,
    mute_reason
FROM alerts"""
VIEW = VIEW_BEFORE.replace("mute_reason", "mute_reason, muted_at, muted_by")


def upgrade() -> None:
    op.add_column("alerts", sa.Column("muted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alerts", sa.Column("muted_by", sa.Text(), nullable=True))
    op.create_index(op.f("ix_alerts_muted_at"), "alerts", ["muted_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(VIEW)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP VIEW case_monitor_alerts")  # replacing takes no column away
        op.execute(VIEW_BEFORE)
    op.drop_index(op.f("ix_alerts_muted_at"), "alerts")
    op.drop_column("alerts", "muted_by")
    op.drop_column("alerts", "muted_at")
