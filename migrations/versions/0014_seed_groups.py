"""Which study of seeds a version belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("model_versions", sa.Column("seed_group", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("model_versions", "seed_group")
