"""Claims: one at a time, whatever starts at once, and none for ever."""

import platform
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import Engine, update

from case_monitor.domain.errors import LiveClaimError, StoreError
from case_monitor.store.connection import writing
from case_monitor.store.tables import ClaimRow
from case_monitor.store.work import claim_holder, claims
from case_monitor.store.work.claim_holder import is_gone, this_host, this_process
from case_monitor.store.work.claims import Holder, claimed, load_claims, release
from tests.support.holding_process import holding
from tests.support.rows import rows_of

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
            with claimed(engine, slots, "c", waiting=lambda _: waited.set()) as slot:
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
    """It is renewed again and again; one that is not is taken, as above."""
    monkeypatch.setattr(claims, "HEARTBEAT", timedelta(seconds=0.05))
    entered = Event()

    def second() -> None:
        with claimed(engine, ["digits/3"], "run 2"):
            entered.set()

    def expires() -> datetime:
        [row] = rows_of(engine, "claims")
        return datetime.fromisoformat(str(row["expires_at"]))

    with claimed(engine, ["digits/3"], "run 1"):
        thread = Thread(target=second)
        thread.start()
        seen = {expires()}
        deadline = time.monotonic() + 60
        while len(seen) < 5:
            assert time.monotonic() < deadline, seen
            seen.add(expires())
            time.sleep(0.02)
        assert not entered.is_set()
        assert max(seen) > datetime.now(max(seen).tzinfo) + claims.LEASE / 2
    assert entered.wait(60)
    thread.join()


@pytest.mark.parametrize("is_reaped", [False, True])
def test_a_process_that_was_killed_loses_its_claim_at_once(engine: Engine, database_url: str, is_reaped: bool) -> None:
    """Whether or not its parent has asked how it ended, as the parent in a container may never do."""
    with holding(database_url, "digits/3", "run 1") as process:
        [claim] = load_claims(engine)
        assert (claim.holder, claim.host, claim.state) == ("run 1", platform.node(), Holder.ALIVE)
        assert (claim.process or "").split()[0] == str(process.pid)
        process.kill()
        if is_reaped:
            process.wait()
        started = time.monotonic()
        with claimed(engine, ["digits/3"], "run 2"):
            waited = time.monotonic() - started
            assert [claim.holder for claim in load_claims(engine)] == ["run 2"]
    assert waited < 30  # where the lease would have had a minute to go


def test_a_process_that_lives_keeps_its_claim(engine: Engine, database_url: str) -> None:
    said: list[str] = []

    def wait() -> None:
        with claimed(engine, ["digits/3"], "run 2", waiting=lambda others: said.extend(c.words for c in others)):
            pass

    with holding(database_url, "digits/3", "run 1") as process:
        thread = Thread(target=wait)
        thread.start()
        time.sleep(1)
        assert thread.is_alive()
        process.kill()
        thread.join(60)
        assert not thread.is_alive()
    assert said[0].startswith(f"run run 1 on {platform.node()}, process {process.pid}, since 2")


HERE = this_process()
ELSEWHERE = "another machine"


@pytest.mark.skipif(HERE is None, reason="there is no /proc")
@pytest.mark.parametrize(
    ("host", "changed", "is_known_to_be_gone"),
    [
        (None, {}, False),  # it lives: it is this one
        (None, {"began": "1"}, True),  # another process was given its number
        (None, {"pid": "4194304"}, True),  # above the greatest number there is
        (ELSEWHERE, {"pid": "4194304"}, False),
        (None, {"pid": "4194304", "namespace": "1"}, False),  # a container's
        (None, {"pid": "4194304", "boot": "another"}, False),  # before a restart, or a machine of the same name
    ],
)
def test_only_what_is_certainly_gone_is_taken_for_it(
    host: str | None, changed: dict[str, str], is_known_to_be_gone: bool
) -> None:
    assert HERE is not None
    parts = dict(zip(("pid", "began", "namespace", "boot"), HERE.split(), strict=True)) | changed
    assert is_gone(host or this_host(), " ".join(parts.values())) is is_known_to_be_gone


def test_nothing_is_assumed_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(claim_holder, "_PROC", tmp_path)
    assert this_process() is None
    assert not is_gone(this_host(), HERE)
    assert not is_gone(this_host(), None)


def test_who_waits_says_for_whom_again_and_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "REMIND", timedelta(seconds=0.2))
    said: list[str] = []

    def second() -> None:
        with claimed(
            engine, ["a", "b"], "run 3", waiting=lambda others: said.append("; ".join(c.holder for c in others))
        ):
            pass

    with claimed(engine, ["a"], "run 1"), claimed(engine, ["b"], "run 2"):
        thread = Thread(target=second)
        begun = time.monotonic()
        thread.start()
        while len(said) < 4 and time.monotonic() < begun + 60:
            time.sleep(0.05)
        both, took = said.copy(), time.monotonic() - begun  # once one of them goes, the other is named alone
    thread.join(60)
    assert not thread.is_alive()
    assert 4 <= len(both) <= 1 + took / 0.2
    assert set(both) == {"run 1; run 2"}


def test_a_claim_is_released_only_if_its_holder_is_not_alive(engine: Engine, database_url: str) -> None:
    with pytest.raises(StoreError, match="nobody holds 'digits/3'; see: case-monitor claims"):
        release(engine, "digits/3")
    with holding(database_url, "digits/3", "run 1") as process:
        with pytest.raises(LiveClaimError, match="'digits/3' is held by run 1, which is alive"):
            release(engine, "digits/3")
        assert release(engine, "digits/3", force=True).holder == "run 1"
        assert load_claims(engine) == []
    with holding(database_url, "digits/4", "run 1") as process:
        process.kill()
        process.wait()
        assert release(engine, "digits/4").state is Holder.GONE
    died = claimed(engine, ["digits/5"], "run 1")
    died.__enter__()
    with writing(engine) as connection:
        connection.execute(update(ClaimRow).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert release(engine, "digits/5").state is Holder.SILENT


def test_an_error_gives_the_claim_back(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="broken"), claimed(engine, ["x" * 5000 + "\x00"], "run 1"):
        raise RuntimeError("broken")
    assert rows_of(engine, "claims") == []
