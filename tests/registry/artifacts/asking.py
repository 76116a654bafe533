"""What is asked of a version, and what comes."""

from pathlib import Path

import pytest

from case_monitor.domain.errors import ModelError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.registry.artifact import Trust, check_artifact

DIGITS_3 = ModelVersion(name="digits", version=3, run_id=None, digest="")
REFUSED = Trust(pickles="refused")


def refusal_of(folder: Path, trust: Trust = REFUSED) -> str:
    """The one line that says why a version is not loaded."""
    with pytest.raises(ModelError) as caught:
        check_artifact(folder, DIGITS_3, trust)
    line = str(caught.value)
    assert line.startswith("model digits/3 was not loaded: ")
    assert line.isprintable()
    assert line.isascii()
    assert f"`{trust.pickles}`" in line, "the remedy"
    return line
