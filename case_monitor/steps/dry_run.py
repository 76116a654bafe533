"""A check that leaves nothing behind: no row, no alert, no notice, no MLflow run, no tag, no claim, no Prefect run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Engine

from case_monitor.domain.model_ref import ModelRef
from case_monitor.judging.other_rules import other_rules_of
from case_monitor.logs.configure import logging_about
from case_monitor.settings import Settings
from case_monitor.steps.begin import begin
from case_monitor.steps.edges.registry import resolve_model
from case_monitor.steps.evaluate import measure, stored_baseline_scores
from case_monitor.steps.inputs import gather
from case_monitor.steps.outcomes import DryRun
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.store.open import is_missing, open_store


def dry_run(request: EvaluationRequest, layer: str | None = None) -> DryRun:
    """Fetch, measure and judge.

    Args:
        request: The version, and the configuration.
        layer: To explain and judge in place of the configured one.
    """
    settings, ref = begin(request.config), ModelRef.parse(request.model)
    settings.model(ref.name)
    if layer is not None:
        settings = with_layer(settings, ref.name, layer)
    with logging_about(model=ref.name), store_to_read(settings.database_url.get_secret_value()) as engine:
        ref = ModelRef(ref.name, version=resolve_model(settings, ref))
        inputs = gather(settings, engine, ref, first=request.first)
        evaluation = measure(inputs, stored_baseline_scores(engine, inputs)).evaluation
    return DryRun(
        model=evaluation.model,
        baseline=evaluation.baseline,
        verdict=evaluation.verdict,
        alerts=evaluation.alerts,
        other_rules=other_rules_of(evaluation),
        evaluation=evaluation,
    )


def with_layer(settings: Settings, name: str, layer: str) -> Settings:
    """The configuration with another target layer for one model, as if the file named it."""
    protocol = replace(settings.protocol_of(name), target_layer=layer)
    model = settings.model(name).model_copy(update={"protocol": protocol})
    return settings.model_copy(update={"models": {**settings.models, name: model}})


@contextmanager
def store_to_read(url: str) -> Iterator[Engine]:
    """The results database; an empty one for now where there is none, so that none is made."""
    with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
        engine = open_store(f"sqlite:///{directory}/empty.db" if is_missing(url) else url)
        try:
            yield engine
        finally:
            engine.dispose()
