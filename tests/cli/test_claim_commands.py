"""`case-monitor claims`, and what a command that waits says."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine

from case_monitor.cli.progress import showing_progress
from case_monitor.steps.claims import alone_on, hearing_of_waiting
from case_monitor.store.open import open_store
from case_monitor.store.work import claims
from case_monitor.store.work.claim_holder import this_host
from case_monitor.store.work.claims import load_claims
from tests.support.commands import run_cli
from tests.support.holding_process import holding

RESOURCE = "evaluation of digits/3"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'case-monitor.db'}"


@pytest.fixture
def store(url: str) -> Engine:
    return open_store(url)


def test_claims_are_listed_with_their_holders(store: Engine, url: str, tmp_path: Path) -> None:
    assert run_cli("claims", cwd=tmp_path).out == "Nothing is claimed.\n"
    assert json.loads(run_cli("claims", "--json", cwd=tmp_path).out) == []
    before = datetime.now(UTC)
    with holding(url, RESOURCE, "0199") as process:
        shown = run_cli("claims", cwd=tmp_path)
        assert shown.code == 0, shown.err
        first, second = shown.out.splitlines()
        assert first == f"{RESOURCE}  alive"
        assert second.startswith(f"   run 0199 on {this_host()}, process {process.pid}, since {before:%Y-%m-%d %H:}")
        [claim] = json.loads(run_cli("claims", "--json", cwd=tmp_path).out)
        assert (claim["resource"], claim["holder"], claim["host"]) == (RESOURCE, "0199", this_host())
        assert (claim["alive"], claim["state"]) == (True, "alive")
        assert before - timedelta(minutes=1) < datetime.fromisoformat(claim["since"]) < datetime.now(UTC)
        assert datetime.fromisoformat(claim["until"]) > before
        process.kill()
        process.wait()
        [claim] = json.loads(run_cli("claims", "--json", cwd=tmp_path).out)
        assert (claim["alive"], claim["state"]) == (False, "its process is gone")
        assert f"{RESOURCE}  its process is gone" in run_cli("claims", cwd=tmp_path).out


def test_a_claim_is_released_but_not_from_a_living_holder(store: Engine, url: str, tmp_path: Path) -> None:
    nobody = run_cli("claims", "release", RESOURCE, cwd=tmp_path)
    assert (nobody.code, nobody.out) == (2, "")
    assert f"error: nobody holds '{RESOURCE}'" in nobody.err
    with holding(url, RESOURCE, "0199") as process:
        refused = run_cli("claims", "release", RESOURCE, cwd=tmp_path)
        assert refused.code == 2
        assert "is held by 0199, which is alive" in refused.err
        assert [claim.holder for claim in load_claims(store)] == ["0199"]
        forced = run_cli("claims", "release", RESOURCE, "--force", cwd=tmp_path)
        assert (forced.code, forced.err) == (0, f"{RESOURCE}: no longer held by 0199 (alive).\n")
        assert load_claims(store) == []
    with holding(url, RESOURCE, "0200") as process:
        process.kill()
        process.wait()
        assert run_cli("claims", "release", RESOURCE, cwd=tmp_path).code == 0
    assert load_claims(store) == []


def test_who_waits_is_seen_on_standard_error(
    store: Engine, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "REMIND", timedelta(seconds=1))
    with holding(url, RESOURCE, "0199") as process:
        Thread(target=lambda: (time.sleep(2.5), process.kill())).start()
        with showing_progress("check digits/3"), alone_on(store, RESOURCE):
            pass
    said = [line for line in capsys.readouterr().err.splitlines() if "waiting for" in line]
    assert 2 <= len(said) <= 4
    assert said[0].startswith(f"{RESOURCE}: waiting for run 0199 on {this_host()}, process {process.pid}, since ")
    assert said[0].endswith(" UTC unless it goes on")


def test_a_listener_hears_only_what_is_inside(store: Engine, url: str) -> None:
    heard: list[str] = []
    with holding(url, RESOURCE, "0199") as process:
        Thread(target=lambda: (time.sleep(0.5), process.kill())).start()
        with hearing_of_waiting(heard.append), alone_on(store, RESOURCE):
            pass
    with alone_on(store, RESOURCE):
        pass
    assert len(heard) == 1
