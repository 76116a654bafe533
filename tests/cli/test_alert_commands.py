"""`case-monitor alerts` on a stored alert, without any check."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from case_monitor.domain.status import Status
from case_monitor.store.open import open_store
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.write import save_evaluation
from tests.support.alerting import evaluation_with, found, night, recall
from tests.support.commands import run_cli

WHY = ("--reason", "x", "--by", "Bo")


@pytest.fixture
def store(tmp_path: Path) -> Engine:
    return open_store(f"sqlite:///{tmp_path / 'case-monitor.db'}")


def test_nothing_to_list(tmp_path: Path) -> None:
    assert run_cli("alerts", cwd=tmp_path).out == "No open alerts.\n"
    assert run_cli("alerts", "--all", cwd=tmp_path).out == "No alerts.\n"


def test_lists(store: Engine, tmp_path: Path) -> None:
    save_evaluation(store, evaluation_with(found()), night(1))
    save_evaluation(store, evaluation_with(found(status=Status.PASS), recall(1)), night(2))
    save_evaluation(store, evaluation_with(found(), name="letters"), night(3))
    shown = run_cli("alerts", cwd=tmp_path)
    assert shown.code == 0, shown.err
    assert shown.out.splitlines() == [
        "3  letters/1 (production): agreement_median, CASE  block, fail; "
        "since 2026-10-03 02:00, last 2026-10-03 02:00, 1 observed",
        "   agreement_median: 0.900 [0.880, 0.920] against 0.5.",
        "   Look at the gallery.",
        "2  digits/1 (production): recall, class 'dog'  warn, fail; "
        "since 2026-10-02 02:00, last 2026-10-02 02:00, 1 observed",
        "   recall for class 'dog': 0.300 [0.280, 0.320] against 0.5.",
        "   Look at the gallery.",
    ]
    of_digits = run_cli("alerts", "--all", "--model", "digits", cwd=tmp_path).out
    assert "1  digits/1" in of_digits
    assert "resolved 2026-10-02 02:00: 0.900 [0.880, 0.920] against 0.5" in of_digits
    assert "letters" not in of_digits


def test_lists_for_machines(store: Engine, tmp_path: Path) -> None:
    assert run_cli("alerts", "--json", cwd=tmp_path).out == "[]\n"
    save_evaluation(store, evaluation_with(found(observed=float("nan"), limit=float("inf"))), night(1))
    save_evaluation(store, evaluation_with(found(status=Status.PASS), recall(1)), night(2))
    shown = run_cli("alerts", "--json", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    [alert] = json.loads(shown.out)
    assert (alert["id"], alert["model_name"], alert["rule"], alert["class_name"]) == (2, "digits", "recall", "dog")
    assert (alert["severity"], alert["observed"], alert["limit_value"]) == ("warn", 0.3, 0.5)
    assert (alert["opened_at"], alert["resolved_at"]) == ("2026-10-02T02:00:00+00:00", None)
    _, resolved = json.loads(run_cli("alerts", "--all", "--json", "--model", "digits", cwd=tmp_path).out)
    assert (resolved["observed"], resolved["limit_value"]) == (None, None)
    assert resolved["resolved_at"] == "2026-10-02T02:00:00+00:00"


def test_acknowledge_mute_and_unmute(store: Engine, tmp_path: Path) -> None:
    save_evaluation(store, evaluation_with(found()), night(1))
    assert run_cli("alerts", "ack", "1", "--by", "Ann", cwd=tmp_path).err == "Alert 1: Ann looks after it.\n"
    muted = run_cli("alerts", "mute", "1", "--until", "2999-12-24", "--reason", "a lens", "--by", "Bo", cwd=tmp_path)
    assert (muted.code, muted.err) == (0, "Alert 1: no notices until 2999-12-24 00:00 UTC.\n")
    listed = run_cli("alerts", cwd=tmp_path).out
    assert "acknowledged by Ann; muted by Bo until 2999-12-24 00:00: a lens" in listed
    assert run_cli("alerts", "unmute", "1", cwd=tmp_path).code == 0
    [alert] = load_alert_lives(store)
    assert (alert.acknowledged_by, alert.muted_until) == ("Ann", None)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("ack", "7", "--by", "Ann"), "error: alert 7 is not open; see: case-monitor alerts"),
        (("unmute", "7"), "error: alert 7 is not open"),
        (("mute", "1", "--until", "2020-01-01", *WHY), "error: --until: a time in the future was expected"),
        (("mute", "1", "--until", "Friday", *WHY), "--until"),
        (("ack", "one", "--by", "Ann"), "ID"),
        (("ack", "1", "--by", "a\udce9"), "acknowledged_by holds NUL or half a surrogate pair"),
    ],
)
def test_what_cannot_be_done_is_said_and_exits_2(
    store: Engine, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    save_evaluation(store, evaluation_with(found()), night(1))
    ran = run_cli("alerts", *arguments, cwd=tmp_path)
    assert ran.code == 2
    assert problem in ran.err


def test_listing_waits_for_nothing_heavy(store: Engine, tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['case-monitor', 'alerts']\n"
        "from case_monitor.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'mlflow', 'prefect', 'apprise', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["No open alerts.", "[]"]


def test_hostile_names_do_nothing_to_the_terminal(store: Engine, tmp_path: Path) -> None:
    name = "[bold]x[/bold]\x1b]0;owned\x07\x1b[31m\n"
    save_evaluation(store, evaluation_with(recall(1), name=name, class_names=("a", name, "c", "d")), night(1))
    out = run_cli("alerts", cwd=tmp_path).out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]x[/bold]" in out
