"""`db backup-check`: the results database and the registry that it is connected to, side by side."""

from pathlib import Path

from case_monitor.cli.doctor import tell_checks
from case_monitor.doctor.backup import backup_checks
from case_monitor.domain.errors import StoreError
from case_monitor.registry.client import Registry
from case_monitor.settings import load_settings
from case_monitor.store.connection import connect
from case_monitor.store.open import is_missing
from case_monitor.store.schema import require_schema


def run_backup_check(config: Path | None, *, as_json: bool) -> int:
    """Look, and change nothing: no SQLite file and no table is made. The exit code is 0 if all fits, else 2."""
    settings = load_settings(config)
    url = settings.database_url.get_secret_value()
    if is_missing(url):
        raise StoreError("there is no results database; restore it, or set database_url right")
    engine = connect(url)
    try:
        require_schema(engine)
        checks = backup_checks(settings, engine, Registry(settings.tracking_uri, settings.registry_uri))
        return tell_checks(checks, as_json=as_json)
    finally:
        engine.dispose()
