"""`db upgrade`: bring the results database to this version's schema."""

from pathlib import Path

from case_monitor.cli.say import say
from case_monitor.settings import load_settings
from case_monitor.store import migrate


def run_upgrade(config: Path | None) -> None:
    """Create the tables, or bring them up to date."""
    migrate.upgrade(load_settings(config).database_url.get_secret_value())
    say("The database is up to date.")
