"""Claims: one at a time, whatever starts at once, and none for ever."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import Engine, update

from case_monitor.store import claims
from case_monitor.store.claims import claimed
from case_monitor.store.connection import writing
from case_monitor.store.tables import ClaimRow
from tests.store.rows import rows_of

WORKERS = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "POLL", timedelta(seconds=0.02))


def test_of_many_at_once_one_works(engine: Engine) -> None:
    together, inside, most = Barrier(WORKERS), [0], [0]

    def work(i: int) -> None:
        together.wait()
        with claimed(engine, ["digits/3"], f"run {i}"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            inside[0] -= 1

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))
    assert most == [1]
    assert rows_of(engine, "claims") == []


def test_slots_are_as_many_as_there_are(engine: Engine) -> None:
    slots = ["gpu 0", "gpu 1"]
    with claimed(engine, slots, "a") as first, claimed(engine, slots, "b") as second:
        assert {first, second} == set(slots)
        waited = Event()
        got: list[str] = []

        def third() -> None:
            with claimed(engine, slots, "c", waiting=waited.set) as slot:
                got.append(slot)

        thread = Thread(target=third)
        thread.start()
        assert waited.wait(5)
        assert got == []
    thread.join(5)
    assert got[0] in slots


def test_a_holder_that_died_loses_its_claim_and_may_have_it_again(engine: Engine) -> None:
    died = claimed(engine, ["digits/3"], "run 1")
    died.__enter__()  # and nothing more is heard of it
    with claimed(engine, ["digits/3"], "run 1"):  # the same run, started again
        pass
    died = claimed(engine, ["digits/4"], "run 1")
    died.__enter__()
    with writing(engine) as connection:
        connection.execute(update(ClaimRow).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with claimed(engine, ["digits/4"], "run 2"):
        assert [row["holder"] for row in rows_of(engine, "claims")] == ["run 2"]
    assert rows_of(engine, "claims") == []


def test_a_claim_is_kept_while_its_holder_works(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT", timedelta(seconds=0.05))
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.5))
    waited: list[float] = []
    started = time.monotonic()

    def second() -> None:
        with claimed(engine, ["digits/3"], "run 2"):
            waited.append(time.monotonic() - started)

    with claimed(engine, ["digits/3"], "run 1"):
        thread = Thread(target=second)
        thread.start()
        time.sleep(1.5)  # three leases
        assert waited == []
    thread.join(5)
    assert waited[0] > 1.4


def test_an_error_gives_the_claim_back(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="broken"), claimed(engine, ["x" * 5000 + "\x00"], "run 1"):
        raise RuntimeError("broken")
    assert rows_of(engine, "claims") == []
