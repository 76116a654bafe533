"""`case-monitor override` on a real registry: against the verdict, in everybody's sight, and no further."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

import case_monitor.steps.tell_override as tell_override_module
from case_monitor.domain.errors import RegistryError, StoreError
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import fetch as load_version
from case_monitor.steps import moving
from case_monitor.steps.override import override
from case_monitor.steps.requests import OverrideRequest
from tests.integration.conftest import Cli
from tests.integration.test_cli import CONFIG, RULES, assert_one_clear_line, champion
from tests.integration.test_nightly import execute, fetch
from tests.support.alerting import Receiver, receiving
from tests.support.commands import Ran, registry_of

UNTIL = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
WORDS = ("--by", "Ann", "--reason", "new camera,\nhttp://ann:s3cretpass@cam.example", "--until", UNTIL)
SAID = f"overridden by Ann until {UNTIL} 00:00 UTC: new camera, http://ann:***@cam.example"


OWN_RULES = """policy:
  thresholds:
    - {{metric: agreement_median, method: gate, limit: 0.5, greater_is_better: false}}
    - {{metric: skill, limit: 0.5, greater_is_better: true}}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(demo_copy: Callable[[str], Path], receiver: Receiver) -> Path:
    """Version 2 is in production; version 3 fails. No rule compares versions 2 and 3, which are as accurate."""
    return demo_copy(CONFIG.replace(RULES, OWN_RULES) + f"notify: ['{receiver.url().get_secret_value()}']\n")


def log(config: Path) -> list[tuple[object, ...]]:
    columns = "decision, version, previous_version, decided_by, applied_at IS NOT NULL"
    return fetch(config, f"SELECT {columns} FROM promotions ORDER BY id")


def open_alerts(config: Path) -> list[tuple[object, ...]]:
    return fetch(config, "SELECT scope, rule, version, severity FROM alerts WHERE resolved_at IS NULL ORDER BY 1, 2")


def test_a_version_takes_the_alias_against_its_verdict(cli: Cli, config: Path, receiver: Receiver) -> None:
    def run(*arguments: str) -> Ran:
        return cli(*arguments, cwd=config.parent)

    unchecked = run("override", "digits/3", *WORDS)
    assert_one_clear_line(unchecked, config, "digits/3: it was never evaluated", "case-monitor check digits/3")

    withheld = run("gate", "digits/3")
    assert (withheld.code, champion(config)) == (1, 2)
    verdict = fetch(config, "SELECT id, verdict_status, verdict_sentence FROM evaluations")
    tags_before = registry_of(config).get_model_version("digits", "3").tags
    receiver.messages.clear()

    done = run("override", "digits/3", *WORDS, "--json")
    assert done.code == 0, done.err
    assert (champion(config), json.loads(done.out)["decision"]) == (3, "overridden")
    assert "s3cretpass" not in done.out + done.err
    assert log(config) == [("withheld", 3, 2, None, 1), ("overridden", 3, 2, "Ann", 1)]
    tags = registry_of(config).get_model_version("digits", "3").tags
    assert tags == {**tags_before, "case_monitor.override": SAID}
    assert tags["case_monitor.verdict"] == "fail"
    assert fetch(config, "SELECT id, verdict_status, verdict_sentence FROM evaluations") == verdict
    assert receiver.titles == ["digits/3 (production): alert: override"]
    assert f"digits/3 holds alias champion against the verdict: overridden by Ann until {UNTIL}" in str(
        receiver.messages[0]["message"]
    )

    again = run("override", "digits/3", *WORDS)
    assert again.code == 0  # it may be answered for anew
    receiver.messages.clear()

    night = run("nightly")
    assert night.code == 1, night.err  # judged as ever
    assert "digits/3: FAIL" in night.out
    assert ("production", "override", 3, "warn") in open_alerts(config)
    execute(config, "UPDATE promotions SET valid_until = '2026-01-02 00:00:00' WHERE decision = 'overridden'")
    ended = run("nightly")
    assert "comes out again" in ended.out
    assert "The override of digits/3 by Ann ended on 2026-01-02 00:00 UTC; decide anew." in ended.out
    assert ("production", "override", 3, "block") in open_alerts(config)
    assert "digits/3 (production): alert got worse: override" in receiver.titles

    receiver.messages.clear()
    back = run("gate", "digits/2")
    assert (back.code, champion(config)) == (0, 2)
    assert log(config)[-1] == ("promoted", 2, 3, None, 1)
    assert "override" not in {rule for _, rule, _, _ in open_alerts(config)}
    assert "digits/2 (production): resolved: override" in receiver.titles


@pytest.mark.parametrize("model", ["digits/2", "digits/1"])
def test_what_needs_no_override_gets_none(cli: Cli, config: Path, model: str) -> None:
    if model == "digits/1":  # it passes, and nobody is in production
        registry_of(config).delete_registered_model_alias("digits", "champion")
    assert cli("check", model, cwd=config.parent).code == 0
    ran = cli("override", model, *WORDS, cwd=config.parent)
    assert ran.code == 2
    assert f"there is nothing to override; use: case-monitor gate {model}" in ran.err
    assert log(config) == []


def test_other_files_than_those_that_were_judged_are_checked_first(cli: Cli, config: Path) -> None:
    assert cli("check", "digits/3", cwd=config.parent).code == 1
    execute(config, "UPDATE evaluations SET model_digest = :digest", digest="0" * 64)
    ran = cli("override", "digits/3", *WORDS, cwd=config.parent)
    assert ran.code == 2
    assert "digits/3: its files have changed since it was evaluated; check it first" in ran.err
    assert (log(config), champion(config)) == ([], 2)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (("--by", " "), "--by: a text was expected"),
        (("--reason", ""), "--reason: a text was expected"),
        (("--until", "2026-01-01"), "--until: a time in the future was expected, 2026-01-01 00:00 UTC came"),
    ],
)
def test_somebody_must_answer_for_it(cli: Cli, config: Path, changed: tuple[str, str], problem: str) -> None:
    words = dict(zip(WORDS[::2], WORDS[1::2], strict=True)) | dict([changed])
    ran = cli("override", "digits/3", *(part for pair in words.items() for part in pair), cwd=config.parent)
    assert_one_clear_line(ran, config, problem)
    alias = cli("override", "digits@champion", *WORDS, cwd=config.parent)
    assert_one_clear_line(alias, config, "name/<version> was expected")


@pytest.mark.parametrize("dies_at", ["move_alias", "set_override_tag", "confirm_override"])
def test_what_a_crash_left_is_done_by_the_next_run(
    cli: Cli, config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    assert cli("check", "digits/3", cwd=config.parent).code == 1
    receiver.messages.clear()
    until = datetime.strptime(UNTIL, "%Y-%m-%d").replace(tzinfo=UTC)
    request = OverrideRequest(model="digits/3", by="Ann", reason="new camera", until=until, config=str(config))

    def dies(*_: object) -> None:
        raise (StoreError if dies_at == "confirm_override" else RegistryError)("it went away")

    with monkeypatch.context() as patch:
        patch.setattr(moving if dies_at == "move_alias" else tell_override_module, dies_at, dies)
        with pytest.raises((RegistryError, StoreError)):
            override(request)
    assert log(config) == [("overridden", 3, 2, "Ann", 0)]
    assert champion(config) == (2 if dies_at == "move_alias" else 3)
    assert receiver.titles == []

    promotion = override(request)
    assert (promotion.decided_by, promotion.previous_version) == ("Ann", 2)
    assert (log(config), champion(config)) == ([("overridden", 3, 2, "Ann", 1)], 3)
    assert receiver.titles == ["digits/3 (production): alert: override"]
    tags = MlflowClient(*2 * (f"sqlite:///{config.parent / 'mlflow.db'}",)).get_model_version("digits", "3").tags
    assert tags["case_monitor.override"] == f"overridden by Ann until {UNTIL} 00:00 UTC: new camera"


@pytest.mark.parametrize("dies_at", ["set_override_tag", "confirm_override"])
def test_a_night_says_what_an_override_that_died_did_not(
    cli: Cli, config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Whoever completes the entry in the audit log tags the version and opens the alert, too."""
    assert cli("check", "digits/3", cwd=config.parent).code == 1
    until = datetime.strptime(UNTIL, "%Y-%m-%d").replace(tzinfo=UTC)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tell_override_module, dies_at, dies)
        with pytest.raises(KeyboardInterrupt):
            override(OverrideRequest(model="digits/3", by="Ann", reason="new", until=until, config=str(config)))
    assert (log(config), champion(config)) == ([("overridden", 3, 2, "Ann", 0)], 3)
    receiver.messages.clear()
    assert cli("nightly", cwd=config.parent).code == 1
    assert log(config) == [("overridden", 3, 2, "Ann", 1)]
    assert ("production", "override", 3, "warn") in open_alerts(config)
    assert "digits/3 (production): alert: override" in receiver.titles
    tags = registry_of(config).get_model_version("digits", "3").tags
    assert tags["case_monitor.override"] == f"overridden by Ann until {UNTIL} 00:00 UTC: new"


def test_the_digest_is_that_of_a_loaded_version(cli: Cli, config: Path) -> None:
    uri = f"sqlite:///{config.parent / 'mlflow.db'}"
    registry = Registry(uri)
    assert registry.artifact_digest("digits", 3) == load_version(registry, "digits", 3).version.digest
    assert mlflow.get_registry_uri() == uri
