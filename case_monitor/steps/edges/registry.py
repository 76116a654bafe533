"""What steps ask of the registry, and have it do."""

from datetime import datetime

from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Promotion
from case_monitor.registry.client import Registry
from case_monitor.settings import Settings
from case_monitor.steps.running import step


def open_registry(settings: Settings) -> Registry:
    """The registry that the configuration names."""
    return Registry(settings.tracking_uri, settings.registry_uri)


@step("resolve-model", retried=True)
def resolve_model(settings: Settings, ref: ModelRef) -> int:
    """The version number behind a reference."""
    return open_registry(settings).resolve(ref)


@step("registered-since", retried=True)
def registered_since(settings: Settings, name: str, since: datetime) -> list[int]:
    """Versions that were registered after a time."""
    return open_registry(settings).versions_since(name, since)


@step("read-alias", retried=True)
def read_alias(settings: Settings, name: str) -> int | None:
    """The version in production now."""
    return open_registry(settings).alias_holder(name, settings.alias)


@step("read-artifact-digest", retried=True)
def read_artifact_digest(settings: Settings, name: str, version: int) -> str:
    """Of a version's files as they are now."""
    return open_registry(settings).artifact_digest(name, version)


@step("move-alias", retried=True)
def move_alias(settings: Settings, promotion: Promotion) -> None:
    """Point the alias at the promoted version."""
    open_registry(settings).set_alias(promotion.model_name, promotion.alias, promotion.version)


@step("give-back-alias", retried=True)
def give_back_alias(settings: Settings, promotion: Promotion) -> None:
    """Point the alias at the version that had it before; if none had, take it away."""
    name, alias, previous = promotion.model_name, promotion.alias, promotion.previous_version
    if previous is None:
        open_registry(settings).remove_alias(name, alias)
    else:
        open_registry(settings).set_alias(name, alias, previous)
