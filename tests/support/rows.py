"""Looking at the tables as they are, past the code under test."""

from typing import Any

from sqlalchemy import Engine, func, select

from case_monitor.store.tables import Base

WORK = {"claims", "announcements", "webhook_deliveries"}
"""Tables that have nothing to do with evaluations."""


def rows_of(engine: Engine, table: str) -> list[dict[str, Any]]:
    columns = Base.metadata.tables[table]
    with engine.connect() as connection:
        found = connection.execute(select(columns).order_by(*columns.primary_key)).mappings()
        return [dict(row) for row in found]


def counts(engine: Engine) -> dict[str, int]:
    """Rows per table."""
    with engine.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in Base.metadata.tables.items()
        }
