"""One small exported version, and copies of it to spoil."""

import shutil
from pathlib import Path

import pytest

from tests.registry.artifacts.corpus import Small, save


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("exported") / "model", Small())


@pytest.fixture
def version(exported: Path, tmp_path: Path) -> Path:
    """The folder of a version that may be loaded."""
    return Path(shutil.copytree(exported, tmp_path / "version"))
