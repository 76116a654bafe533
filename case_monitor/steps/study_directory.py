"""The directory of a study: its database and its registry, which nothing that is configured elsewhere replaces."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import Policy
from case_monitor.domain.policy_check import check_policy
from case_monitor.settings import ModelSettings, NpzSplit, Settings, load_settings
from case_monitor.settings.study import StudiedModel, StudySettings, read_study, study_text

STUDIED, CONFIG = "studied.yaml", "case-monitor.yaml"
"""What was studied last, and the configuration for the pages."""
_MARK = "# Written by `case-monitor study`.\n"


def write_directory(directory: Path, study: StudySettings) -> StudySettings:
    """Make the directory of a study, or take one that is.

    Returns:
        The study as it is written there.

    Raises:
        ConfigError: the directory is somebody's who configured something else, or cannot be written.
    """
    check_policy(_policy(study), study.protocol)
    if forbidden := set("?#%") & set(str(directory)):
        msg = f"--directory: a path without {' '.join(sorted(forbidden))}, which URLs read otherwise, was expected"
        raise ConfigError(f"{msg}, {directory} came")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / CONFIG
        others = sorted(file.name for file in directory.iterdir())
        if others and not (config.exists() and config.read_text(encoding="utf-8", errors="replace").startswith(_MARK)):
            msg = f"--directory: a study's or an empty one was expected, {directory} holds {', '.join(others[:3])}"
            raise ConfigError(msg)
        config.write_text(_MARK, encoding="utf-8")  # first: whatever else there is from here on is a study's
        (directory / STUDIED).write_text(study_text(study), encoding="utf-8")
        written = read_study(directory / STUDIED)
        config.write_text(_MARK + yaml.safe_dump(_config(written, directory), sort_keys=False), encoding="utf-8")
    except OSError as error:
        msg = f"--directory: a directory that can be written was expected, {directory}: {error.strerror}"
        raise ConfigError(msg) from None
    return written


def own_settings(directory: Path, study: StudySettings) -> Settings:
    """Where and how it measures: what the environment says of the machine counts, and nothing that it says of places.

    `CASE_MONITOR_DATABASE_URL` and its like are of what runs in production, where a study must leave nothing.
    """
    models = {name: _model(model, study, directory) for name, model in study.models.items() if model.data is not None}
    places = _places(directory)
    return load_settings(directory / CONFIG).model_copy(
        update={
            "tracking_uri": places["tracking_uri"],
            "registry_uri": None,
            "database_url": SecretStr(places["database_url"]),
            "notify": (),
            "policy": _policy(study),
            "protocol": study.protocol,
            "pickles": "allowed",  # they were made here
            "models": models,
        }
    )


def with_study(registered: Settings, own: Settings, name: str, study: StudySettings) -> Settings:
    """The user's configuration of a model, with the study's protocol and, where it names one, its data set."""
    model = registered.model(name)
    update: dict[str, object] = {"protocol": study.protocol}
    if study.models[name].data is not None:
        update["split"] = own.model(name).split
    if study.models[name].preprocessing is not None:
        update["preprocessing"] = study.models[name].preprocessing
    return registered.model_copy(update={"models": {**registered.models, name: model.model_copy(update=update)}})


def _policy(study: StudySettings) -> Policy:
    """The default one, about a method that the study has."""
    policy, methods = Policy(), study.protocol.methods
    return policy if policy.gate_method in methods or not methods else replace(policy, gate_method=methods[0])


def _places(directory: Path) -> dict[str, str]:
    return {
        "tracking_uri": f"sqlite:///{directory / 'mlflow.db'}",
        "database_url": f"sqlite:///{directory / 'case-monitor.db'}",
    }


def _model(model: StudiedModel, study: StudySettings, directory: Path) -> ModelSettings:
    """Small networks are judged by images that are made with them."""
    if model.small:
        return ModelSettings(split=NpzSplit(kind="npz", path=directory / "data" / f"{model.data}.npz"))
    return ModelSettings(split=study.data[str(model.data)], preprocessing=model.preprocessing)


def _config(study: StudySettings, directory: Path) -> dict[str, Any]:
    """As `case-monitor serve` takes it."""
    of = {name: _model(model, study, directory) for name, model in study.models.items() if model.data is not None}
    models = {name: model.model_dump(mode="json", exclude_defaults=True) for name, model in of.items()}
    protocol = study.model_dump(mode="json", include={"protocol"}) | {
        "policy": {"gate_method": _policy(study).gate_method}
    }
    return {
        "tracking_uri": "sqlite:///mlflow.db",
        "database_url": "sqlite:///case-monitor.db",
        **protocol,
        "models": models,
    }
