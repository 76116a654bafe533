"""Alerts from the command line to the receiver, with real checks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.integration.conftest import Cli
from tests.integration.test_cli import CONFIG, RULES
from tests.support.alerting import Receiver, receiving
from tests.support.commands import registry_of


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def lives(config: Path) -> list[tuple[str, int, bool]]:
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").connect() as connection:
        rows = connection.execute(text("SELECT scope, observations, resolved_at IS NULL FROM alerts ORDER BY id"))
        return [(scope, count, bool(is_open)) for scope, count, is_open in rows]


def test_an_alert_from_its_first_check_to_its_last(
    cli: Cli, demo_copy: Callable[[str], Path], receiver: Receiver
) -> None:
    only = "{metric: agreement_median, method: gate, limit: 0.5, greater_is_better: false}"
    url = receiver.url().get_secret_value()
    config = demo_copy(CONFIG)
    rules = f"policy: {{thresholds: [{only}], min_samples: 40}}\nnotify: ['{url}']\n"
    config.write_text(config.read_text().replace(RULES.format(), rules))
    receiver.status = 503
    first = cli("check", "digits/3", cwd=config.parent)
    assert first.code == 1, first.err  # what the check found, whatever happens to its notice
    assert "s3cret" not in first.out + first.err
    receiver.status = 200
    for _ in range(2):
        assert cli("check", "digits/3", cwd=config.parent).code == 1
    assert lives(config) == [("candidate", 3, True)]
    assert receiver.titles == ["digits/3 (candidate): alert: agreement median, CASE"]
    assert "version 2" in receiver.messages[0]["message"]

    listed = cli("alerts", cwd=config.parent)
    assert "digits/3 (candidate): agreement_median, CASE  block, fail; since" in listed.out
    assert "3 observed" in listed.out

    assert cli("check", "digits@champion", cwd=config.parent).code == 0
    assert lives(config) == [("candidate", 3, True)]  # production is another matter
    registry_of(config).set_registered_model_alias("digits", "champion", "1")
    assert cli("check", "digits/2", cwd=config.parent).code == 0
    assert lives(config) == [("candidate", 3, False)]
    assert receiver.titles[1:] == ["digits/2 (candidate): resolved: agreement median, CASE"]
