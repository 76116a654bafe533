"""What is announced again, and what is not; deliveries that come twice."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from case_monitor.store.connection import writing
from case_monitor.store.tables import AnnouncementRow, WebhookDeliveryRow
from case_monitor.store.work.announcements import count_open, due, note_announcement
from case_monitor.store.work.deliveries import forget_delivery, take_delivery
from case_monitor.store.write import save_evaluation, set_mlflow_run
from tests.support.factories import an_evaluation
from tests.support.rows import rows_of


def announced(engine: Engine, ago: timedelta) -> None:
    with writing(engine) as connection:
        connection.execute(update(AnnouncementRow).values(announced_at=datetime.now(UTC) - ago))


def test_a_version_is_announced_until_its_evaluation_is_published(engine: Engine) -> None:
    assert due(engine, "digits", [1, 2]) == [1, 2]
    note_announcement(engine, "digits", 1)
    note_announcement(engine, "letters", 2)
    assert due(engine, "digits", [1, 2]) == [2]
    assert count_open(engine) == 2
    announced(engine, timedelta(minutes=11))
    assert due(engine, "digits", [1, 2]) == [1, 2]
    evaluation_id = save_evaluation(engine, an_evaluation(version=1))
    assert due(engine, "digits", [1, 2]) == [1, 2]  # stored, and nobody can see it yet
    set_mlflow_run(engine, evaluation_id, "run")
    assert due(engine, "digits", [1, 2]) == [2]
    assert count_open(engine) == 1


def test_each_time_twice_as_long_is_waited_up_to_a_day(engine: Engine) -> None:
    for waits in (10, 20, 40):
        note_announcement(engine, "digits", 1)
        announced(engine, timedelta(minutes=waits - 1))
        assert due(engine, "digits", [1]) == []
        announced(engine, timedelta(minutes=waits + 1))
        assert due(engine, "digits", [1]) == [1]
    for _ in range(50):
        note_announcement(engine, "digits", 1)
    announced(engine, timedelta(hours=25))
    assert due(engine, "digits", [1]) == [1]


def test_a_delivery_is_taken_once_unless_it_came_to_nothing(engine: Engine) -> None:
    assert take_delivery(engine, "d1")
    assert not take_delivery(engine, "d1")
    assert take_delivery(engine, "d2")
    forget_delivery(engine, "d1")
    assert take_delivery(engine, "d1")
    with writing(engine) as connection:
        connection.execute(update(WebhookDeliveryRow).values(received_at=datetime.now(UTC) - timedelta(hours=2)))
    assert take_delivery(engine, "d3")
    assert len(rows_of(engine, "webhook_deliveries")) == 1  # old ones are forgotten
