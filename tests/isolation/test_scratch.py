"""What a model leaves in its folder is gone with it, whatever it is."""

import os
from pathlib import Path

import pytest

from case_monitor.isolation.scratch import remove


def nest(folder: Path, depth: int) -> None:
    """Deeper than a path may be long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.close(here)


def test_it_is_gone_however_deep_it_is(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    nest(tmp_path / "scratch", 3000)
    remove(tmp_path / "scratch")
    assert list(tmp_path.iterdir()) == []


def test_locked_folders_and_files(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "a" / "b" / "c").mkdir(parents=True)
    (scratch / "a" / "b" / "file").write_text("x")
    (scratch / "a" / "b").chmod(0)
    (scratch / "a").chmod(0)
    remove(scratch)
    assert list(tmp_path.iterdir()) == []


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    scratch, outside = tmp_path / "scratch", tmp_path / "outside"
    scratch.mkdir()
    outside.mkdir(mode=0o750)
    (outside / "file").write_text("x")
    (scratch / "folder").symlink_to(outside)
    (scratch / "inner").mkdir()
    (scratch / "inner" / "folder").symlink_to(outside)
    remove(scratch)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "file").read_text() == "x"
    assert outside.stat().st_mode & 0o777 == 0o750


def test_what_cannot_be_removed_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch" / "kept").mkdir(parents=True)

    def refuse(path: str) -> None:
        raise OSError(path)

    monkeypatch.setattr(os, "rmdir", refuse)
    remove(tmp_path / "scratch")
    assert (tmp_path / "scratch" / "kept").is_dir()


def test_what_is_not_there(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")
