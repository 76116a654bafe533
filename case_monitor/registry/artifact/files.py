"""Which files a version without pickles consists of."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from case_monitor.registry.artifact.refusal import Refusal

PROGRAM = "data/model.pt2"
SIGNATURE = "model.sig"
ADDED_BY_MLFLOW = "registered_model_meta"  # to what it downloads; not part of the model
_MIB = 1 << 20
# No code, no pickle, and no name that a loader takes for one: everything else is refused by not standing here.
_LARGEST = {
    "MLmodel": _MIB,
    PROGRAM: 16384 * _MIB,
    "conda.yaml": _MIB,
    "python_env.yaml": _MIB,
    "requirements.txt": _MIB,
    "input_example.json": 1024 * _MIB,
    "serving_input_example.json": 1024 * _MIB,
    ADDED_BY_MLFLOW: _MIB,
    SIGNATURE: 16 * _MIB,
}
_FOLDERS = {"data"}
_NEEDED = ("MLmodel", PROGRAM)


def check_files(folder: Path) -> None:
    """See that the folder holds a model exported as `pt2` and what MLflow writes beside it, and nothing else.

    Raises:
        Refusal: something is missing, or does not belong there.
    """
    found = set()
    for name, status in entries(folder):
        if stat.S_ISDIR(status.st_mode):
            _expect(name in _FOLDERS, name, "no folder but data", "a folder")
            continue
        _expect(name in _LARGEST, name, "a version of data/model.pt2 and MLflow's own files", "another file")
        largest = _LARGEST[name]
        _expect(status.st_size <= largest, name, f"at most {largest} bytes", f"{status.st_size}")
        found.add(name)
    for name in _NEEDED:
        _expect(name in found, name, "a file", "none")


def entries(folder: Path, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """All files and folders below, by their names relative to it; nothing is followed.

    Raises:
        Refusal: one is neither.
    """
    with os.scandir(folder) as found:
        ordered = sorted(found, key=lambda entry: entry.name)
    for entry in ordered:
        name, status = prefix + entry.name, entry.stat(follow_symlinks=False)
        _expect(entry.name.isprintable(), name, "a name in printable UTF-8", "another")
        _expect(not stat.S_ISLNK(status.st_mode), name, "a file or a folder", "a link")
        is_folder = stat.S_ISDIR(status.st_mode)
        _expect(is_folder or stat.S_ISREG(status.st_mode), name, "a file or a folder", "something else")
        yield name, status
        if is_folder:
            yield from entries(folder / entry.name, f"{name}/")


def _expect(condition: bool, name: str, expected: str, came: str) -> None:
    if not condition:
        raise Refusal(name, expected, came)
