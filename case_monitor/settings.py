"""Configuration: `case-monitor.yaml`, overridden by environment variables `CASE_MONITOR_*`.

Every field is documented where it is declared; a wrong field is an error with its path. Relative paths, also those
in `sqlite:///` URLs, are relative to the configuration file, so a check gives the same result from any directory.
"""

import math
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from case_monitor.core.errors import ConfigError
from case_monitor.core.policy import Policy
from case_monitor.core.protocol import Protocol

DEFAULT_CONFIG = "case-monitor.yaml"
_PREFIX = "CASE_MONITOR_"
_SQLITE = "sqlite:///"
_UNKNOWN_FIELD = {"extra_forbidden", "unexpected_keyword_argument"}  # pydantic's words for it


def _with_lists(value: Any) -> Any:
    """Read lists in text: a nested variable such as CASE_MONITOR_PROTOCOL__AREAS arrives as "[0.5, 0.05]"."""
    if not isinstance(value, dict):
        return value
    return {key: _list(item) if isinstance(item, str) and item.startswith("[") else item for key, item in value.items()}


def _list(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # refused as text, with the field's path


def _with_finite_limits(policy: Policy) -> Policy:
    limits = [threshold.limit for threshold in policy.thresholds]
    if not all(map(math.isfinite, limits)):  # no figure is on either side of NaN, every figure of infinity
        msg = f"thresholds: a finite limit in every rule was expected, {limits} came"
        raise ValueError(msg)
    return policy


PolicySettings = Annotated[Policy, BeforeValidator(_with_lists), AfterValidator(_with_finite_limits)]
ProtocolSettings = Annotated[Protocol, BeforeValidator(_with_lists)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ImageFolderSplit(_Strict):
    """A directory with one folder of images per class, named after the class."""

    kind: Literal["image_folder"]
    path: Path
    """The directory."""


class CifarSplit(_Strict):
    """CIFAR-10 or CIFAR-100 in the authors' Python format, already on disk."""

    kind: Literal["cifar10", "cifar100"]
    path: Path
    """The directory that holds `cifar-10-batches-py` or `cifar-100-python`."""


class NpzSplit(_Strict):
    """A NumPy archive: `images` (N, H, W) or (N, H, W, C) uint8, `labels` (N,), and optionally `class_names`, `ids`."""

    kind: Literal["npz"]
    path: Path
    """The file."""


class ArtifactSplit(_Strict):
    """A split stored as an MLflow artifact."""

    kind: Literal["mlflow_artifact"]
    uri: str
    """`runs:/<run id>/<path>`, `models:/<name>/<version>/<path>` or `mlflow-artifacts:/...`."""
    format: Literal["image_folder", "npz"]
    """How to read what was downloaded."""


class FunctionSplit(_Strict):
    """A function of yours that returns a `torch.utils.data.Dataset` of (image, class index)."""

    kind: Literal["function"]
    function: str = Field(pattern=r"^[\w.]+:\w+$")
    """`package.module:function`. Importing it runs its code."""
    arguments: dict[str, Any] = {}
    """Keyword arguments for the function."""


SplitSpec = Annotated[
    ImageFolderSplit | CifarSplit | NpzSplit | ArtifactSplit | FunctionSplit, Field(discriminator="kind")
]


class Preprocessing(_Strict):
    """From a stored image to the model's input: resize, crop, scale to [0, 1], normalise."""

    resize: int | None = Field(None, gt=0)
    """Length of the shorter side after resizing; omit to keep the size."""
    crop: int | None = Field(None, gt=0)
    """Side of the square cut from the centre; omit to keep everything."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Per channel; its length, 1 or 3, says whether images become grey or RGB."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Per channel."""

    @model_validator(mode="after")
    def _channels(self) -> "Preprocessing":
        if len(self.mean) not in {1, 3} or len(self.std) != len(self.mean) or min(self.std) <= 0:
            msg = "std: as many as mean, 1 (grey) or 3 (RGB), and all positive, were expected"
            raise ValueError(f"{msg}; mean {self.mean} and std {self.std} came")
        return self


class ModelSettings(_Strict):
    """One monitored model."""

    split: SplitSpec
    """The validation images."""
    class_names: tuple[str, ...] | None = None
    """In the order of the logits. Needed only where neither the model version nor the data set says."""
    preprocessing: Preprocessing | None = None
    """Needed only where the model version was logged without it."""
    policy: PolicySettings | None = None
    """Replaces the general policy for this model."""
    protocol: ProtocolSettings | None = None
    """Replaces the general protocol for this model."""


class Settings(BaseSettings):
    """Everything that case_monitor can be told."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    tracking_uri: str = "sqlite:///mlflow.db"
    """MLflow's tracking server or database. Credentials belong into MLFLOW_TRACKING_USERNAME and _PASSWORD."""
    registry_uri: str | None = None
    """MLflow's model registry, where it is not the tracking server."""
    database_url: SecretStr = SecretStr("sqlite:///case-monitor.db")
    """Where results are stored: a SQLite or `postgresql+psycopg2://` URL."""
    alias: str = "champion"
    """The registry alias that marks the version in production, and that the gate moves."""
    experiment: str = "case_monitor"
    """MLflow experiment of the monitoring runs."""
    device: str = "auto"
    """torch device; `auto` takes a GPU where there is one."""
    num_workers: int = Field(0, ge=0)
    """Processes that read images, each some seconds to start; 0 reads in the main process."""
    policy: PolicySettings = Policy()
    """When a version may be promoted."""
    protocol: ProtocolSettings = Protocol()
    """How explanations are measured."""
    models: dict[str, ModelSettings] = {}
    """The monitored models by their registered names."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose content comes in as init arguments."""
        return env_settings, init_settings

    def model(self, name: str) -> ModelSettings:
        """The settings of one model.

        Raises:
            ConfigError: the model is not configured.
        """
        if name not in self.models:
            known = ", ".join(self.models) or "none"
            msg = f"models.{name}: no such model in the configuration (configured: {known})"
            raise ConfigError(msg)
        return self.models[name]

    def policy_of(self, name: str) -> Policy:
        """The policy that judges this model."""
        return self.model(name).policy or self.policy

    def protocol_of(self, name: str) -> Protocol:
        """The protocol that measures this model."""
        return self.model(name).protocol or self.protocol


def load_settings(path: Path | str | None = None) -> Settings:
    """Read the configuration.

    Args:
        path: the YAML file; None takes `CASE_MONITOR_CONFIG`, else `case-monitor.yaml` here if there is one.

    Raises:
        ConfigError: the file is missing or not YAML, or a field is unknown or wrong.
    """
    chosen = path or os.environ.get("CASE_MONITOR_CONFIG")
    file = Path(chosen or DEFAULT_CONFIG).absolute()
    content = _read_yaml(file) if chosen or file.exists() else {}
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise ConfigError(_first_problems(error, file)) from None
    except SettingsError as error:
        raise ConfigError(f"environment variables {_PREFIX}*: {error}") from None
    return _anchored(settings, file.parent)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"configuration file {file}: {error.strerror}; create it, or name another with --config"
        raise ConfigError(msg) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file.name}: a text in UTF-8 was expected, other bytes came") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file.name}: not YAML: {_yaml_problem(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        msg = f"{file.name}: fields (`name: value`) were expected, {type(content).__name__} came"
        raise ConfigError(msg)
    return content


def _yaml_problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, without quoting the line: it may hold a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return type(error).__name__


def _first_problems(error: ValidationError, file: Path) -> str:
    # A misspelled field first: the missing one that it was meant to be follows from it.
    items = sorted(error.errors(), key=lambda item: item["type"] not in _UNKNOWN_FIELD)
    return "; ".join(_problem(item, file) for item in items[:3])


def _problem(item: Any, file: Path) -> str:
    parts = list(map(str, item["loc"]))
    if len(parts) > 3 and parts[2] == "split":
        del parts[3]  # the kind, which pydantic puts into the path and the file does not
    path = ".".join(parts) or "configuration"
    variable = _PREFIX + "__".join(parts).upper()
    where = f"{variable if variable in os.environ else file.name}: {path}"
    if item["type"] in _UNKNOWN_FIELD:
        return f"{where}: no such field"
    if item["type"] == "value_error":  # from our own checks, which say `field: what was expected and what came`
        return f"{where}.{item['ctx']['error']}"
    # What came may be a secret (a URL with a password): show short plain values only, and never that field's.
    came = item["input"]
    if not isinstance(came, int | float | str) or "url" in path:
        return f"{where}: {item['msg']}"
    return f"{where}: {item['msg']}, {short_message(repr(came))[:72]} came"


def short_message(error: object) -> str:
    """The message of a foreign error in one line of bounded length, without the credentials in a URL."""
    text = " ".join(str(error).split())
    return re.sub(r"://[^/\s]*@", "://***@", text)[:300]


def _anchored(settings: Settings, base: Path) -> Settings:
    """Make relative paths relative to the configuration file."""
    models = {
        name: model.model_copy(update={"split": _anchored_split(model.split, base)})
        for name, model in settings.models.items()
    }
    return settings.model_copy(
        update={
            "tracking_uri": _anchored_url(settings.tracking_uri, base),
            "registry_uri": settings.registry_uri and _anchored_url(settings.registry_uri, base),
            "database_url": SecretStr(_anchored_url(settings.database_url.get_secret_value(), base)),
            "models": models,
        }
    )


def _anchored_split(split: SplitSpec, base: Path) -> SplitSpec:
    if isinstance(split, ImageFolderSplit | CifarSplit | NpzSplit):
        return split.model_copy(update={"path": base / split.path})
    return split


def _anchored_url(url: str, base: Path) -> str:
    path = url.removeprefix(_SQLITE)
    if path == url or not path or path.startswith((":", "/")):
        return url
    return f"{_SQLITE}{base / path}"
