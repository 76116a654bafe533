"""Relative paths, which are relative to the configuration file."""

from pathlib import Path

from pydantic import SecretStr

from case_monitor.settings.model_settings import ModelSettings
from case_monitor.settings.splits import anchored_split
from case_monitor.settings.top_level import Settings

_SQLITE = "sqlite:///"


def anchored(settings: Settings, base: Path) -> Settings:
    """Make relative paths relative to the configuration file."""
    models = {
        name: model.model_copy(update={"split": anchored_split(model.split, base), "class_map": _anchored(model, base)})
        for name, model in settings.models.items()
    }
    return settings.model_copy(
        update={
            "tracking_uri": _anchored_url(settings.tracking_uri, base),
            "registry_uri": settings.registry_uri and _anchored_url(settings.registry_uri, base),
            "database_url": SecretStr(_anchored_url(settings.database_url.get_secret_value(), base)),
            "models": models,
            "isolation": settings.isolation.model_copy(
                update={"readable": tuple(base / path for path in settings.isolation.readable)}
            ),
            "signing_key": settings.signing_key and base / settings.signing_key,
        }
    )


def _anchored(model: ModelSettings, base: Path) -> dict[str, str] | Path | None:
    return base / model.class_map if isinstance(model.class_map, Path) else model.class_map


def _anchored_url(url: str, base: Path) -> str:
    path = url.removeprefix(_SQLITE)
    if path == url or not path or path.startswith((":", "/")):
        return url
    return f"{_SQLITE}{base / path}"
