"""What holds for every test."""

import pytest

from case_monitor.logs import masking


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets of one test are words of others."""
    monkeypatch.setattr(masking, "_remembered", set())
