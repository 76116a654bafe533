"""`check --dry-run`: a study of a version, or of another layer, tells nobody and leaves nothing behind."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Cli
from tests.integration.test_cli import CONFIG, assert_one_clear_line
from tests.support.alerting import Receiver, receiving


def content(database: Path) -> list[str]:
    """Every row of every table, and the tables."""
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())


@pytest.fixture
def checked(cli: Cli, demo_copy: Callable[[str], Path]) -> Iterator[tuple[Path, Receiver]]:
    """A healthy version in production, which was evaluated, and a receiver of notices."""
    with receiving() as receiver:
        config = demo_copy(CONFIG + f"notify: ['{receiver.url().get_secret_value()}']\n")
        stored = json.loads(cli("check", "digits@champion", "--json", cwd=config.parent).out)
        assert (stored["stored"], stored["evaluation_id"]) == (True, 1)
        yield config, receiver


def everything(config: Path) -> list[list[str]]:
    return [content(config.parent / name) for name in ("case-monitor.db", "mlflow.db")]


@pytest.mark.parametrize("arguments", [("digits@champion", "--layer", "features.8"), ("digits/3",)])
def test_a_dry_run_leaves_everything_as_it_was(
    cli: Cli, checked: tuple[Path, Receiver], arguments: tuple[str, ...]
) -> None:
    config, receiver = checked
    before = everything(config)
    ran = cli("check", *arguments, "--dry-run", cwd=config.parent)
    layer = arguments[-1] if "--layer" in arguments else "attention"
    assert f"Dry run on layer {layer}: nothing is stored, nobody is told, and no alias moves." in ran.out, ran.err
    assert ran.code == (1 if "FAIL" in ran.out else 3 if "INSUFFICIENT" in ran.out else 0)
    assert everything(config) == before
    assert receiver.titles == []


def test_a_dry_run_in_json_has_the_verdict_and_no_evaluation(cli: Cli, checked: tuple[Path, Receiver]) -> None:
    ran = cli("check", "digits/3", "--dry-run", "--json", cwd=checked[0].parent)
    found = json.loads(ran.out)
    assert (ran.code, found["verdict"], found["baseline_version"]) == (1, "fail", 2)
    assert (found["stored"], found["evaluation_id"], found["mlflow_run_id"]) == (False, None, None)


def test_a_dry_run_makes_no_database(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    ran = cli("check", "digits/2", "--dry-run", cwd=config.parent)
    assert ran.code == 0, ran.err
    assert "Dry run on layer features: nothing is stored" in ran.out
    assert sorted(path.name for path in config.parent.iterdir()) == ["case-monitor.yaml", "mlflow.db"]


def test_another_layer_is_for_dry_runs_only(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    ran = cli("check", "digits/2", "--layer", "features.8", cwd=config.parent)
    assert_one_clear_line(ran, config, "--layer features.8", "--dry-run was expected")
    ran = cli("check", "digits/2", "--dry-run", "--layer", "nowhere", cwd=config.parent)
    assert_one_clear_line(ran, config, "nowhere", "does not exist")
