"""Runs the migrations on the connection that `store.migrate` hands over, inside its transaction."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from sqlalchemy import Connection

from case_monitor.settings import load_settings
from case_monitor.store.migrate import migrating
from case_monitor.store.tables import VERSION_TABLE, Base, UtcDateTime


def render_item(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Write our column type as what the database has: a migration must not change with the package."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


if context.is_offline_mode():
    raise CommandError("the migrations need a database; SQL scripts (--sql) are not supported")


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:  # the alembic command itself (`alembic check`, `alembic revision --autogenerate`), on the configured database
    with migrating(load_settings().database_url.get_secret_value()) as connection:
        run(connection)
