"""Prometheus metrics, read from the database when they are asked for: they outlive any process."""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from case_monitor.dashboard.shell.resources import Held
from case_monitor.store.read.operations import model_operations
from case_monitor.store.read.outbox import look_into
from case_monitor.store.work.announcements import count_open

metrics = APIRouter()


@metrics.get("/metrics")
def show_metrics(held: Held) -> Response:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_FromDatabase(held.engine))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _FromDatabase(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        evaluations = GaugeMetricFamily("case_monitor_evaluations", "Stored evaluations.", labels=["model", "verdict"])
        alerts = GaugeMetricFamily("case_monitor_open_alerts", "Open alerts.", labels=["model", "severity"])
        duration = GaugeMetricFamily(
            "case_monitor_last_evaluation_duration_seconds", "Duration of the last evaluation.", labels=["model"]
        )
        success = GaugeMetricFamily(
            "case_monitor_last_success_timestamp_seconds",
            "When a check last came to its end: an evaluation, or a night that looked at one again.",
            labels=["model"],
        )
        for model in model_operations(self._engine):
            for verdict, count in model.verdicts.items():
                evaluations.add_metric([model.name, verdict], count)
            for severity, count in model.open_alerts.items():
                alerts.add_metric([model.name, severity], count)
            duration.add_metric([model.name], model.last_duration_s)
            success.add_metric([model.name], model.last_success.timestamp())
        yield from (evaluations, alerts, duration, success)
        yield GaugeMetricFamily(
            "case_monitor_waiting_versions",
            "Registered versions that were announced and have no published evaluation.",
            value=count_open(self._engine),
        )
        waiting = look_into(self._engine)
        yield GaugeMetricFamily(
            "case_monitor_waiting_evidence", "Evaluations whose evidence MLflow has not got yet.", value=waiting.count
        )
        yield GaugeMetricFamily(
            "case_monitor_oldest_waiting_evidence_timestamp_seconds",
            "When the oldest of them was made; 0 if there is none.",
            value=waiting.since.timestamp() if waiting.since else 0,
        )
