"""Whether a version was in production when it was judged, and nights that looked at an evaluation again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody knows any more; all were judged as candidates are.
    op.add_column("evaluations", sa.Column("in_production", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("evaluations") as batch:
        batch.alter_column("in_production", server_default=None)
    op.create_table(
        "reproductions",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("changed_predictions", sa.Integer(), nullable=False),
        sa.Column("confidence_difference", sa.Double(), nullable=True),
        sa.Column("score_difference", sa.Double(), nullable=True),
        sa.Column("worst", sa.Text(), nullable=False),
        sa.Column("reproduced", sa.Boolean(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("torch_version", sa.Text(), nullable=False),
        sa.Column("package_version", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_reproductions_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "evaluation_id", name=op.f("pk_reproductions")),
    )
    op.create_index(op.f("ix_reproductions_evaluation_id"), "reproductions", ["evaluation_id", "started_at"])


def downgrade() -> None:
    op.drop_table("reproductions")
    op.drop_column("evaluations", "in_production")
