"""All checks, in the order in which a person would mend things. None keeps another from being made."""

import os
from collections.abc import Iterator
from pathlib import Path

from case_monitor.doctor.check import Answer, Check, ask, ok, skipped, warning
from case_monitor.doctor.database import DATABASE, MIGRATIONS, database_checks
from case_monitor.doctor.machine import NOTIFY, device_check, isolation_check, notify_checks
from case_monitor.doctor.mlflow_server import REGISTRY, TRACKING, bound_requests, mlflow_checks
from case_monitor.doctor.model import model_checks
from case_monitor.doctor.prefect_server import prefect_checks
from case_monitor.registry.client import Registry
from case_monitor.settings import Settings, load_settings
from case_monitor.settings.load import DEFAULT_CONFIG

CONFIGURATION = "configuration"


def examine(config: Path | None, *, quick: bool = False) -> Iterator[Check]:
    """Check after check, as each is done."""
    bound_requests()
    configuration = ask(CONFIGURATION, lambda: _configuration(config), remedy="correct it; see docs/configuration.md")
    yield configuration
    settings: Settings | None = configuration.value
    if settings is None:
        for name in (DATABASE, MIGRATIONS, TRACKING, REGISTRY, NOTIFY):
            yield skipped(name, "the configuration cannot be read")
    else:
        yield from database_checks(settings.database_url.get_secret_value())
    yield from prefect_checks()
    yield device_check(settings.device if settings else "auto")
    yield isolation_check(required=settings is not None and settings.isolation.record.required)
    if settings:
        yield from notify_checks(settings)
        registry: Registry | None = None
        for check in mlflow_checks(settings):
            registry = check.value
            yield check
        for model in settings.models:
            yield from model_checks(settings, model, registry, quick=quick)


def _configuration(config: Path | None) -> Answer:
    settings = load_settings(config)
    file = config or os.environ.get("CASE_MONITOR_CONFIG")
    if file is None and not Path(DEFAULT_CONFIG).exists():
        found = f"there is no {DEFAULT_CONFIG} here: everything has its default, and no model is monitored"
        return warning(found, "write one, or name it with --config or CASE_MONITOR_CONFIG", settings)
    name = file or DEFAULT_CONFIG
    if not settings.models:
        return warning(f"{name} is valid, and names no model", "name the registered models below `models`", settings)
    return ok(f"{name} is valid; models: {', '.join(settings.models)}", settings)
