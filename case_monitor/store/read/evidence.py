"""What a verdict rests on: the figures over all classes, the rules, the alerts, the scores per image."""

from dataclasses import dataclass

from sqlalchemy import Engine

from case_monitor.domain.alert import Alert
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.store.connection import reading
from case_monitor.store.read.alerts import observed_alerts
from case_monitor.store.read.classes import StoredClass, all_classes
from case_monitor.store.read.scores import agreements
from case_monitor.store.read.summaries import explained_images, overall_summaries
from case_monitor.store.read.verdicts import results


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is stored of one evaluation.

    `agreements` has one value per explained image, NaN where a map was degenerate; it is empty where no image was
    explained, and where the scores were pruned.
    """

    figures: tuple[MetricSummary, ...]
    rules: tuple[ThresholdResult, ...]
    alerts: tuple[Alert, ...]
    agreements: dict[str, tuple[float, ...]]
    explained: int
    classes: tuple[StoredClass, ...]


def read_evidence(engine: Engine, evaluation_id: int) -> Evidence:
    """All of it, at one moment; empty where there is no such evaluation."""
    with reading(engine) as connection:
        return Evidence(
            figures=overall_summaries(connection, evaluation_id),
            rules=results(connection, evaluation_id),
            alerts=observed_alerts(connection, evaluation_id),
            agreements=agreements(connection, evaluation_id),
            explained=explained_images(connection, evaluation_id),
            classes=all_classes(connection, evaluation_id),
        )
