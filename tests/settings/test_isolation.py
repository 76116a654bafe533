"""How models are shut in, as configured."""

import os
from pathlib import Path

import pytest

from case_monitor.domain.errors import ConfigError
from case_monitor.settings import load_settings


def configured(folder: Path, text: str) -> Path:
    file = folder / "case-monitor.yaml"
    file.write_text(text)
    return file


def test_it_reaches_those_who_do_it_in_their_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CASE_MONITOR_ISOLATION__READABLE", raising=False)
    text = "isolation: {level: required, memory_gib: 2, hours: 0.5, silence_minutes: 3, readable: [code, /srv/code]}\n"
    record = load_settings(configured(tmp_path, text)).isolation.record
    assert record.required
    assert record.limits.memory_bytes == 2 * 1024**3
    assert record.limits.cpu_s == 1800 * (os.cpu_count() or 1)
    assert (record.total_s, record.silence_s) == (1800, 180)
    assert record.readable == (tmp_path / "code", Path("/srv/code"))


def test_by_default_it_goes_as_far_as_the_machine_can(tmp_path: Path) -> None:
    assert not load_settings(configured(tmp_path, "models: {}\n")).isolation.record.required


@pytest.mark.parametrize("field", ["level: none", "memory_gib: 0", "hours: -1", "silence_minutes: 0", "cpu: 1"])
def test_what_would_switch_it_off_is_an_error(tmp_path: Path, field: str) -> None:
    with pytest.raises(ConfigError, match=f"isolation.{field.partition(':')[0]}"):
        load_settings(configured(tmp_path, f"isolation: {{{field}}}\n"))
