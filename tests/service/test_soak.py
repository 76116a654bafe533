"""Many rounds of what a deployment does: nothing is held that was not held before, and rows are those stated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.held import Held, memory_per_cycle, rows_per_cycle
from tests.support.soak import CYCLES

ROOT = Path(__file__).parents[2]
LONG_S = 15 * 60
MEMORY_PER_CYCLE = 0.25  # MiB; a page is rendered 7 times a cycle, and an evaluation has 150 KiB of pictures and scores

# What one version, evaluated, promoted and looked at again, leaves: nothing of a claim, nothing twice.
ROWS = {
    "model_versions": 1,
    "evaluations": 1,
    "predictions": 1,
    "gallery_images": 2,
    "promotions": 1,
    "promotion_runs": 1,
    "reproductions": 1,
    "announcements": 1,
    "webhook_deliveries": 1,
    "alert_observations": 2,
    "claims": 0,
    "alerts": 0,  # those of the first version are still open: it is the same failure
    "alert_marks": 0,
    "alert_notices": 0,
}


@pytest.mark.usefixtures("engine")  # for its tables
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("at_least_s", [0, pytest.param(LONG_S, marks=pytest.mark.long)])
def test_nothing_is_held_from_round_to_round(database_url: str, at_least_s: float, tmp_path: Path) -> None:
    """In a process of its own: what else a test's process does would be counted."""
    (tmp_path / "temporary").mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.soak", database_url, str(at_least_s)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    cycles = [Held(**held) for held in json.loads(ran.stdout)]
    assert len(cycles) >= CYCLES
    for what in ("descriptors", "threads", "temporary_files", "connections"):
        assert len({getattr(held, what) for held in cycles}) == 1, (what, cycles)
    assert memory_per_cycle(cycles) < MEMORY_PER_CYCLE, [held.memory for held in cycles]
    [added] = rows_per_cycle(cycles)
    assert {name: added[name] for name in ROWS} == ROWS


def test_a_leak_would_be_seen() -> None:
    """A MiB, or a row, too many in each cycle."""
    memory = [100 + n + 8 * (n % 5 == 0) for n in range(CYCLES)]
    cycles = [Held(m, 9 + n, 3, 0, 2, {"claims": n // 2}) for n, m in enumerate(memory)]
    assert memory_per_cycle(cycles) == pytest.approx(1, abs=0.2)
    assert memory_per_cycle([Held(100 + 8 * (n % 5 == 0), 9, 3, 0, 2, {}) for n in range(CYCLES)]) == 0
    assert rows_per_cycle(cycles) == [{"claims": 0}, {"claims": 1}]
