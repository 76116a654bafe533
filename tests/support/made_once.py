"""What is made once for all processes that share the tests (`pytest -n 2`), and only read afterwards."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(name: str, make: Callable[[Path], None], folders: pytest.TempPathFactory) -> Path:
    """The folder that `make` filled in whichever process came first; others wait for it.

    A folder that was left half done, because `make` failed, is not taken for whole.
    """
    own = folders.getbasetemp()
    shared = own.parent if own.name.startswith("popen-gw") else own
    folder, whole = shared / name, shared / f"{name}.whole"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process that holds it
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder
