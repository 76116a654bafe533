"""What the OpenAPI document allows, and what it does not, never breaks the service: schemathesis tries."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine

from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation
from tests.support.profiles import examples


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'results.db'}"
    upgrade(url)
    engine = connect(url)
    for version in range(1, 4):
        save_evaluation(engine, an_evaluation(version=version))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def described(engine: Engine) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(Settings(), engine))


def test_every_operation(described: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 15
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(examples(40), suppress_health_check=list(HealthCheck), database=None)
        def answers_as_described(case: schemathesis.Case) -> None:
            case.call_and_validate()

        answers_as_described()
