"""Many rounds of what a deployment does: nothing is held that the round before did not hold, and rows are those stated.

One process, without models: each of those has a process of its own, which ends.
"""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.open import open_store
from case_monitor.store.work.announcements import note_announcement
from case_monitor.store.work.claims import claimed
from case_monitor.store.work.deliveries import take_delivery
from case_monitor.store.write import save_evaluation, save_reproduction
from case_monitor.store.write.notices import claim_notices, settle_notices
from case_monitor.store.write.promotion import mark_promotion_applied, note_run, record_promotion
from case_monitor.store.write.prune import prune_scores
from tests.support.alerting import evaluation_with, found, night, recall
from tests.support.factories import a_gallery
from tests.support.held import Held, held_now, memory_per_cycle, rows_per_cycle
from tests.support.rows import counts

WARM_UP, CYCLES = 4, 9
LONG_S = 15 * 60
MEMORY_PER_CYCLE = 0.25  # MiB; a page is rendered 7 times a cycle, and an evaluation has 150 KiB of pictures and scores
PAGES = ("/", "/model?name=soak", "/alerts", "/metrics", "/readyz", "/api/v1/models", "/evaluation/{id}")

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


@pytest.fixture
def own_temporary_folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what others leave there is not counted; PostgreSQL, which outlives it, was started before."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))


def one_cycle(url: str, number: int) -> None:
    """Start; a version is registered, judged, promoted and looked at again; people look; end."""
    engine = open_store(url)
    with TestClient(create_app(Settings(), engine)) as client:
        assert take_delivery(engine, f"delivery {number}")
        note_announcement(engine, "soak", number)
        with claimed(engine, [f"evaluation of soak/{number}"], f"run {number}"):
            evaluation_id = judge_and_promote(engine, number)
        settle_notices(engine, {notice.id: ("0000",) for notice in claim_notices(engine)}, {"0000"})
        prune_scores(engine, datetime(2020, 1, 1, tzinfo=UTC), dry_run=False)
        for page in PAGES:
            answer = client.get(page.format(id=evaluation_id), headers={"accept": "text/html"})
            assert answer.status_code == 200, (page, answer.text)
    engine.dispose()


def judge_and_promote(engine: Engine, number: int) -> int:
    evaluation = evaluation_with(found(), recall(1), name="soak", version=number)
    evaluation_id = save_evaluation(engine, evaluation, night(2 * number), a_gallery(evaluation, rows=2))
    promotion = Promotion(
        model_name="soak",
        alias="champion",
        version=number,
        previous_version=number - 1 or None,
        decision=Decision.PROMOTED,
        evaluation_id=evaluation_id,
        reason="",
    )
    entry = record_promotion(engine, promotion)
    mark_promotion_applied(engine, entry)
    note_run(engine, f"run {number}", entry)
    again = Reproduction(n=9, changed_predictions=0, confidence_difference=0.0, score_difference=0.0, worst="")
    save_reproduction(engine, evaluation_id, again, evaluation, night(2 * number + 1), "cpu", "2.13.0+cpu")
    return evaluation_id


def connections_to(engine: Engine) -> int:
    """Others than the one that asks, once those that were closed are gone; to a file they are descriptors."""
    if engine.dialect.name == "sqlite":
        return 0
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    count = 0
    for _ in range(100):
        with engine.connect() as connection:
            count = int(connection.execute(text(query)).scalar_one())
        if count == 0:
            break
        time.sleep(0.05)
    return count


def soak(url: str, engine: Engine, at_least_s: float) -> list[Held]:
    """What is held after each cycle, the warm-up left out."""
    cycles: list[Held] = []
    ends = time.monotonic() + at_least_s
    number = 0
    while len(cycles) < CYCLES or time.monotonic() < ends:
        number += 1
        one_cycle(url, number)
        if number > WARM_UP:
            cycles.append(held_now(connections_to(engine), counts(engine)))
    return cycles


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
@pytest.mark.usefixtures("own_temporary_folder")
@pytest.mark.parametrize("at_least_s", [0, pytest.param(LONG_S, marks=pytest.mark.long)])
def test_nothing_is_held_from_round_to_round(engine: Engine, database_url: str, at_least_s: float) -> None:
    children = {child.pid for child in psutil.Process().children()}
    cycles = soak(database_url, engine, at_least_s)
    for what in ("descriptors", "threads", "temporary_files", "connections"):
        assert len({getattr(held, what) for held in cycles}) == 1, (what, cycles)
    assert memory_per_cycle(cycles) < MEMORY_PER_CYCLE, [held.memory for held in cycles]
    [added] = rows_per_cycle(cycles)
    assert {name: added[name] for name in ROWS} == ROWS
    assert {child.pid for child in psutil.Process().children()} <= children


def test_a_leak_would_be_seen() -> None:
    """A MiB, or a row, too many in each cycle."""
    memory = [100 + n + 8 * (n % 5 == 0) for n in range(CYCLES)]
    cycles = [Held(m, 9 + n, 3, 0, 2, {"claims": n // 2}) for n, m in enumerate(memory)]
    assert memory_per_cycle(cycles) == pytest.approx(1, abs=0.2)
    assert memory_per_cycle([Held(100 + 8 * (n % 5 == 0), 9, 3, 0, 2, {}) for n in range(CYCLES)]) == 0
    assert rows_per_cycle(cycles) == [{"claims": 0}, {"claims": 1}]
