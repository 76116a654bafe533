"""Telling people: to a real HTTP server, through Apprise, with failures in between."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from case_monitor.alerts.send import channel_id, send
from case_monitor.domain.errors import StoreError
from case_monitor.domain.status import Status
from case_monitor.settings import Settings
from case_monitor.steps.notices import empty_outbox, send_notices
from case_monitor.store.connection import connect
from case_monitor.store.migrate import downgrade, upgrade
from case_monitor.store.write import claim_notices, save_evaluation
from tests.support.alerting import Receiver, evaluation_with, found, night, recall, receiving
from tests.support.rows import rows_of
from tests.support.servers import free_port

BROKEN = evaluation_with(found())
HEALED = evaluation_with(found(status=Status.PASS))
SECRETS = ("s3cret", "t0ken", "127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'results.db'}"
    upgrade(url)
    engine = connect(url)
    yield engine
    engine.dispose()


def dead_channel() -> SecretStr:
    return SecretStr(f"json://me:s3cret@127.0.0.1:{free_port()}/t0ken")


def test_three_nights_are_one_notification_and_the_end_is_another(engine: Engine, receiver: Receiver) -> None:
    for number in (1, 2, 3):
        save_evaluation(engine, BROKEN, night(number))
        empty_outbox(engine, [receiver.url()])
    assert receiver.titles == ["digits/1 (production): alert: agreement median, CASE"]
    save_evaluation(engine, HEALED, night(4))
    empty_outbox(engine, [receiver.url()])
    empty_outbox(engine, [receiver.url()])
    assert receiver.titles[1:] == ["digits/1 (production): resolved: agreement median, CASE"]
    assert [message["type"] for message in receiver.messages] == ["failure", "success"]
    assert "What to do: Look at the gallery." in receiver.messages[0]["message"]


def test_one_message_for_all_notices_of_a_model(store: Engine, receiver: Receiver) -> None:
    save_evaluation(store, evaluation_with(recall(0), recall(1)), night(1))
    save_evaluation(store, evaluation_with(recall(0), name="letters"), night(1))
    empty_outbox(store, [receiver.url()])
    assert receiver.titles == ["digits: 2 notices (2 alert)", "letters/1 (production): alert: recall, class 'cat'"]
    assert {message["type"] for message in receiver.messages} == {"warning"}


def test_a_channel_that_fails_is_tried_again_and_the_others_are_not(
    store: Engine, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as other:
        receiver.status = 500
        urls = [receiver.url(), other.url()]
        save_evaluation(store, BROKEN, night(1))
        empty_outbox(store, urls)
        assert (len(receiver.messages), len(other.messages)) == (0, 1)
        assert "notify.0 did not take 1 notices" in caplog.text
        receiver.status = 200
        empty_outbox(store, urls)
        empty_outbox(store, urls)
        assert (len(receiver.messages), len(other.messages)) == (1, 1)
    [row] = rows_of(store, "alert_notices")
    assert row["delivered_to"] == [channel_id(url) for url in reversed(urls)]


def test_a_crash_between_storing_and_sending_is_mended_by_the_next_run(store: Engine, receiver: Receiver) -> None:
    save_evaluation(store, BROKEN, night(1))
    # ... and here the process died
    save_evaluation(store, BROKEN, night(2))
    empty_outbox(store, [receiver.url()])
    assert len(receiver.messages) == 1


def test_a_crash_while_sending_gives_the_notices_back(
    store: Engine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    save_evaluation(store, BROKEN, night(1))
    with monkeypatch.context() as patch:
        patch.setattr("case_monitor.steps.notices.send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            empty_outbox(store, [receiver.url()])
    empty_outbox(store, [receiver.url()])
    assert len(receiver.messages) == 1


def test_without_a_channel_nothing_is_kept_for_later(store: Engine, receiver: Receiver) -> None:
    save_evaluation(store, BROKEN, night(1))
    empty_outbox(store, [])
    empty_outbox(store, [receiver.url()])
    assert receiver.messages == []


@pytest.mark.parametrize(
    "url",
    [
        dead_channel(),
        SecretStr("nosuch://me:s3cret@127.0.0.1/t0ken"),
        SecretStr("json://"),
        SecretStr("mailto://s3cret:t0ken@"),
        SecretStr("slack://s3cret"),
    ],
)
def test_no_secret_of_a_failing_channel_is_said(
    store: Engine, url: SecretStr, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    save_evaluation(store, BROKEN, night(1))
    empty_outbox(store, [url])
    assert "notify.0 did not take" in caplog.text
    said = caplog.text + "".join(capfd.readouterr())
    assert not [secret for secret in SECRETS if secret in said]
    assert not [secret for secret in SECRETS if secret in str(rows_of(store, "alert_notices"))]
    assert len(claim_notices(store)) == 1


def test_no_secret_of_a_working_channel_is_said(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert send(receiver.url(), "title", "body", "warning")
    assert caplog.text == ""
    logging.getLogger("apprise").warning("heard again afterwards")
    assert "heard again" in caplog.text


def test_hostile_names_arrive_as_text(store: Engine, receiver: Receiver) -> None:
    name = "<b>{title}</b> <!channel> @here :smile: \\n \x07\u202e%s"
    save_evaluation(store, evaluation_with(recall(1), name=name, class_names=("a", name, "c", "d")), night(1))
    empty_outbox(store, [receiver.url()])
    [message] = receiver.messages
    text = message["title"] + message["message"]
    assert "‹b›{title}‹/b› ‹!channel› ＠here :smile: \\n %s" in message["title"]  # noqa: RUF001
    assert not [c for c in text if c in "<>@" or (not c.isprintable() and c != "\n")]


def test_channels_are_told_apart_without_their_urls() -> None:
    urls = [SecretStr(f"json://host/{i}") for i in range(20)]
    assert len({channel_id(url) for url in urls}) == 20
    assert {len(channel_id(url)) for url in urls} == {4}


def test_a_store_that_fails_is_only_logged(store: Engine, caplog: pytest.LogCaptureFixture) -> None:
    downgrade(str(store.url), "base")
    with pytest.raises(StoreError):
        empty_outbox(store, [])
    send_notices(Settings(notify=("json://me:s3cret@127.0.0.1/t0ken",)), store)
    assert "alerts could not be told (StoreError)" in caplog.text
