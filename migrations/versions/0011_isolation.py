"""How far a model was shut in while it was measured, and who had signed it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("isolation", sa.Text(), nullable=True))
    op.add_column("evaluations", sa.Column("signer", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("evaluations", "signer")
    op.drop_column("evaluations", "isolation")
