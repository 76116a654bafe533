"""Many rounds of what a deployment does, in one process that does nothing else; it prints what it held after each.

Without models: each of those has a process of its own, which ends.
"""

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime

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
from tests.support.held import Held, held_now
from tests.support.rows import counts

WARM_UP, CYCLES = 4, 9
PAGES = ("/", "/model?name=soak", "/alerts", "/metrics", "/readyz", "/api/v1/models", "/evaluation/{id}")


def soak(url: str, at_least_s: float) -> list[Held]:
    """What is held after each cycle, the warm-up left out."""
    cycles: list[Held] = []
    ends = time.monotonic() + at_least_s
    number = 0
    while len(cycles) < CYCLES or time.monotonic() < ends:
        number += 1
        _one_cycle(url, number)
        if number > WARM_UP:
            cycles.append(_held(url))
    return cycles


def _one_cycle(url: str, number: int) -> None:
    """Start; a version is registered, judged, promoted and looked at again; people look; end."""
    engine = open_store(url)
    with TestClient(create_app(Settings(allowed_hosts=("testserver",)), engine)) as client:
        assert take_delivery(engine, f"delivery {number}")
        note_announcement(engine, "soak", number)
        with claimed(engine, [f"evaluation of soak/{number}"], f"run {number}"):
            evaluation_id = _judge_and_promote(engine, number)
        settle_notices(engine, {notice.id: ("0000",) for notice in claim_notices(engine)}, {"0000"})
        prune_scores(engine, datetime(2020, 1, 1, tzinfo=UTC), dry_run=False)
        for page in PAGES:
            answer = client.get(page.format(id=evaluation_id), headers={"accept": "text/html"})
            assert answer.status_code == 200, (page, answer.text)
    engine.dispose()


def _judge_and_promote(engine: Engine, number: int) -> int:
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


def _held(url: str) -> Held:
    engine = open_store(url)
    try:
        return held_now(_others_connected(engine), counts(engine))
    finally:
        engine.dispose()


def _others_connected(engine: Engine) -> int:
    """Once those that were closed are gone; to a file they are descriptors."""
    if engine.dialect.name == "sqlite":
        return 0
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"  # and not one of those that vacuum
    )
    count = 0
    for _ in range(100):
        with engine.connect() as connection:
            count = int(connection.execute(text(query)).scalar_one())
        if count == 0:
            break
        time.sleep(0.05)
    return count


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(held) for held in soak(sys.argv[1], float(sys.argv[2]))]))
