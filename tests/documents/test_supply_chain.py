"""What is installed and why; what a linter was told to overlook, and why; and wheels that come out the same."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.M)
}
INSTALLS = {"pip"}  # nobody asks for what installs the others
TORCHS_OWN = ("cuda-", "nvidia-", "triton")  # pinned by torch to the last digit; its CPU build has none of them


def asked_for() -> dict[str, Requirement]:
    """Every package that some part of the project needs on this machine, however far down."""
    optional = PROJECT["project"]["optional-dependencies"]
    waiting = [Requirement(text) for text in chain(PROJECT["project"]["dependencies"], *optional.values())]
    waiting += [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    found: dict[str, Requirement] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or name == PROJECT["project"]["name"]:
            continue
        seen.add(key)
        found.setdefault(name, requirement)
        waiting += needs_of(name, requirement.extras)
    return found


def needs_of(name: str, extras: set[str]) -> list[Requirement]:
    """Of an installed package, on this machine."""
    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    needs = [Requirement(text) for text in texts]
    return [n for n in needs if n.marker is None or any(n.marker.evaluate({"extra": e}) for e in ("", *extras))]


def test_what_is_needed_is_pinned_in_its_range_and_nothing_else_is() -> None:
    """A package that nobody needs any more is one more that could be replaced by somebody else's."""
    needed = asked_for()
    ours = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    for requirement in ours:
        assert PINS[canonicalize_name(requirement.name)] in requirement.specifier, requirement
    assert PINS.keys() - needed.keys() == INSTALLS
    assert {name for name in needed.keys() - PINS.keys() if not name.startswith(TORCHS_OWN)} == set()


def test_whatever_the_security_rules_overlook_has_a_reason() -> None:
    files = [f for folder in ("case_monitor", "docker", "migrations", "flows") for f in (ROOT / folder).rglob("*.py")]
    overlooked = [
        (file.name, line.strip())
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"# noqa: (?:\w+, )*S\d", line)
    ]
    assert len(overlooked) > 5
    assert [found for found in overlooked if not re.search(r"# noqa: [\w, ]+ - \w", found[1])] == []
    whole = PROJECT["tool"]["ruff"]["lint"]["per-file-ignores"]
    assert {place for place, rules in whole.items() if "S" in rules} == {"{tests/**,conftest.py}", "benchmarks/**"}


def built(folder: Path, source: Path, seconds: int) -> bytes:
    """A wheel of a copy of the sources whose files are as old as that."""
    here = folder / str(seconds)
    for name in ("case_monitor", "migrations"):
        shutil.copytree(source / name, here / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(source / name, here / name)
    for file in here.rglob("*"):
        os.utime(file, (seconds, seconds))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=here, check=True, capture_output=True
    )
    [wheel] = (here / "dist").glob("*.whl")
    return wheel.read_bytes()


def test_two_builds_of_the_same_sources_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert built(tmp_path, ROOT, 1_700_000_000) == built(tmp_path, ROOT, 1_750_000_000)
