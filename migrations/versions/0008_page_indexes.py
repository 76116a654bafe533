"""What every page asks first, whether anything changed, takes an index for each maximum."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INDEXED = (
    ("alerts", "last_seen_at"),
    ("alerts", "resolved_at"),
    ("alerts", "acknowledged_at"),
    ("alerts", "muted_until"),
    ("promotions", "applied_at"),
    ("reproductions", "started_at"),
)


def upgrade() -> None:
    for table, column in _INDEXED:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    for table, column in _INDEXED:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
