"""What binds a pass to its version, its run and its images: who decided, in which run, and what is said with it.

Claims name the process that holds them, so that a dead one is recognised at once; an override is a decision of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = {
    "unique": True,
    "sqlite_where": sa.text("applied_at IS NULL"),
    "postgresql_where": sa.text("applied_at IS NULL"),
}
_DECISION = "decision IN ('promoted', 'withheld', 'kept'{more})"

# Replaced, not made anew: so those who were granted it may read it still.
VIEW_BEFORE = """
CREATE OR REPLACE VIEW case_monitor_promotions AS
SELECT
    promotion.id AS promotion_id,
    promotion.model_name AS model,
    promotion.version,
    promotion.alias,
    promotion.previous_version,
    promotion.decision,
    promotion.reason,
    promotion.decided_at,
    promotion.applied_at,
    promotion.evaluation_id,
    evaluation.verdict_status AS verdict
FROM promotions AS promotion JOIN evaluations AS evaluation ON evaluation.id = promotion.evaluation_id"""
VIEW = VIEW_BEFORE.replace("AS verdict\n", "AS verdict,\n    promotion.decided_by,\n    promotion.valid_until\n")


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("notes", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("evaluations", sa.Column("layer_source", sa.Text(), nullable=True))
    op.add_column("evaluations", sa.Column("images_digest", sa.Text(), nullable=True))
    op.add_column("evaluations", sa.Column("labels_digest", sa.Text(), nullable=True))
    op.add_column("samples", sa.Column("broken_passes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("claims", sa.Column("host", sa.Text(), nullable=True))
    op.add_column("claims", sa.Column("process", sa.Text(), nullable=True))
    op.add_column("promotions", sa.Column("decided_by", sa.Text(), nullable=True))
    op.add_column("promotions", sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True))
    _allow_decisions(", 'overridden'")
    op.create_table(
        "promotion_runs",
        sa.Column("flow_run_id", sa.Text(), nullable=False),
        sa.Column("promotion_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["promotion_id"],
            ["promotions.id"],
            name=op.f("fk_promotion_runs_promotion_id_promotions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("flow_run_id", name=op.f("pk_promotion_runs")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(VIEW)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP VIEW case_monitor_promotions")  # replacing takes no column away
        op.execute(VIEW_BEFORE)
    op.drop_table("promotion_runs")
    op.execute("UPDATE promotions SET decision = 'promoted' WHERE decision = 'overridden'")
    _allow_decisions("")
    for table, columns in {
        "promotions": ("valid_until", "decided_by"),
        "claims": ("process", "host"),
        "samples": ("broken_passes",),
        "evaluations": ("labels_digest", "images_digest", "layer_source", "notes"),
    }.items():
        for column in columns:
            op.drop_column(table, column)


def _allow_decisions(more: str) -> None:
    # Without the index: on SQLite the table is made anew, and what is partial about an index would be forgotten.
    op.drop_index("uq_promotions_open", "promotions")
    with op.batch_alter_table("promotions") as batch:
        batch.drop_constraint(op.f("ck_promotions_decision"), type_="check")
        batch.create_check_constraint(op.f("ck_promotions_decision"), _DECISION.format(more=more))
    op.create_index("uq_promotions_open", "promotions", ["evaluation_id", "alias", "decision"], **_OPEN)
