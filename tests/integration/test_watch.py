"""The sweep over the registry, and runs that start twice."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Engine

from case_monitor.domain.errors import OrchestrationError
from case_monitor.domain.promotion import Decision
from case_monitor.registry.announce import announce
from case_monitor.steps.promote import promote
from case_monitor.steps.requests import EvaluationRequest, WatchRequest
from case_monitor.steps.watch_registry import watch_registry
from case_monitor.store.connection import connect
from tests.integration.conftest import Cli
from tests.integration.test_cli import CONFIG, rows
from tests.support.rows import rows_of
from tests.support.servers import free_port


@pytest.fixture
def config(cli: Cli, demo_copy: Callable[[str], Path]) -> Path:
    config = demo_copy(CONFIG + "watch_days: 1000\n")
    assert cli("db", "upgrade", cwd=config.parent).code == 0
    return config


def sweep(config: Path) -> list[str]:
    return watch_registry(WatchRequest(config=str(config)))


def store(config: Path) -> Engine:
    return connect(f"sqlite:///{config.parent / 'case-monitor.db'}")


def test_versions_without_an_evaluation_are_announced_and_others_are_not(cli: Cli, config: Path) -> None:
    assert cli("check", "digits/2", cwd=config.parent).code == 0
    assert sweep(config) == ["digits/1", "digits/3"]
    assert [(row["version"], row["times"]) for row in rows_of(store(config), "announcements")] == [(1, 1), (3, 1)]
    assert sweep(config) == []  # announced a moment ago


def test_old_versions_are_left_alone(config: Path) -> None:
    config.write_text(config.read_text().replace("watch_days: 1000", "watch_days: 0.000001"))
    assert sweep(config) == []


def test_a_configured_model_that_is_not_registered_has_no_versions(config: Path) -> None:
    gone = "models:\n  gone:\n    split: {kind: npz, path: x.npz}\n"
    config.write_text(config.read_text().replace("models:\n", gone))
    assert sweep(config) == ["digits/1", "digits/2", "digits/3"]


def test_a_server_that_is_down_loses_no_version(config: Path) -> None:
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}),
        pytest.raises(OrchestrationError, match="Prefect could not be told of digits/1"),
    ):
        asyncio.run(announce("digits", 1))
    assert rows_of(store(config), "announcements") == []


def test_two_runs_at_once_are_one_evaluation(config: Path) -> None:
    request = EvaluationRequest(model="digits/2", config=str(config), reuse=True)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: promote(request), range(2))
    assert first.outcome.evaluation_id == second.outcome.evaluation_id
    # One measured, the other found what was stored.
    assert [first.outcome.evaluation, second.outcome.evaluation].count(None) == 1
    assert first.promotion.decision is second.promotion.decision is Decision.KEPT
    assert [rows(config, table) for table in ("evaluations", "promotions", "claims")] == [1, 1, 0]
