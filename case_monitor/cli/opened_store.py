"""The results database of a configuration, for commands that need nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from case_monitor.settings import load_settings
from case_monitor.store.open import open_store


@contextmanager
def opened_store(config: Path | None) -> Iterator[Engine]:
    """Open it, and close it afterwards."""
    engine = open_store(load_settings(config).database_url.get_secret_value())
    try:
        yield engine
    finally:
        engine.dispose()
