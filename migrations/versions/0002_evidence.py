"""Why a figure is undefined for some images, and the p values of the rules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("metric_summaries", sa.Column("undefined_because", sa.Text(), nullable=True))
    op.add_column("threshold_results", sa.Column("n_needed", sa.BigInteger(), nullable=True))
    op.add_column("threshold_results", sa.Column("p_value", sa.Double(), nullable=True))
    op.add_column("threshold_results", sa.Column("p_adjusted", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("threshold_results", "p_adjusted")
    op.drop_column("threshold_results", "p_value")
    op.drop_column("threshold_results", "n_needed")
    op.drop_column("metric_summaries", "undefined_because")
