"""Fetching a version."""

from case_monitor.domain.model_ref import ModelRef
from case_monitor.registry.artifact import Trust
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.settings import Settings
from case_monitor.steps.edges.registry import open_registry
from case_monitor.steps.running import step


@step("fetch-model", retried=True)
def fetch_model(settings: Settings, ref: ModelRef) -> RegisteredModel:
    """Resolve a reference, and download the version."""
    registry = open_registry(settings)
    return fetch(registry, ref.name, registry.resolve(ref), Trust.of(settings, ref.name))
