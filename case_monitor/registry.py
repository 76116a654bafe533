"""The MLflow model registry: find a version, load it with its metadata, move aliases, set tags."""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import torch
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pydantic import ValidationError
from torch import nn

from case_monitor.core.errors import ConfigError, ModelError, NotFoundError, RegistryError
from case_monitor.core.records import ModelVersion
from case_monitor.settings import Preprocessing

METADATA_KEY = "case_monitor"
_PERMANENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}
# MLflow writes this file beside what it downloads; it is not part of the model.
_NOT_PART_OF_MODEL = {"registered_model_meta"}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`name/3` or `name@champion`, as a person types it."""

    name: str
    version: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelRef":
        """Read a reference.

        Raises:
            ConfigError: it is neither `name/<version>` nor `name@<alias>`.
        """
        name, slash, version = text.removeprefix("models:/").rpartition("/")
        if slash and name and version.isdecimal():
            return cls(name, version=int(version))
        name, at, alias = text.removeprefix("models:/").rpartition("@")
        if at and name and alias:
            return cls(name, alias=alias)
        msg = f"model: name/<version> or name@<alias> was expected, {text!r} came"
        raise ConfigError(msg)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}" if self.version is not None else f"{self.name}@{self.alias}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegisteredModel:
    """A loaded model version and what was logged with it; None where nothing was.

    Attributes:
        version: its identity.
        model: on the CPU, as loaded.
        class_names: in the order of the logits.
        preprocessing: from image to input.
        input_shape: (C, H, W), -1 where any size is accepted.
        target_layer: dotted name.
    """

    version: ModelVersion
    model: nn.Module
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    input_shape: tuple[int, ...] | None
    target_layer: str | None


def model_metadata(
    *,
    class_names: tuple[str, ...] | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    target_layer: str | None = None,
) -> dict[str, Any]:
    """What to pass as `metadata` to `mlflow.pytorch.log_model`, so that checks need no configuration for it.

    Example:
        >>> model_metadata(class_names=("cat", "dog"), preprocessing={"mean": [0.5], "std": [0.5]})["case_monitor"]
        {'class_names': ['cat', 'dog'], 'preprocessing': {'mean': [0.5], 'std': [0.5]}}
    """
    content: dict[str, Any] = {}
    if class_names is not None:
        content["class_names"] = list(class_names)
    if preprocessing is not None:
        checked = Preprocessing.model_validate(preprocessing)
        content["preprocessing"] = checked.model_dump(mode="json", exclude_unset=True)
    if target_layer is not None:
        content["target_layer"] = target_layer
    return {METADATA_KEY: content}


class Registry:
    """One MLflow registry. Every failure is a `RegistryError` or `ModelError` of one line."""

    def __init__(self, tracking_uri: str, registry_uri: str | None = None) -> None:
        # A dead server should be reported in seconds; the flow retries on top.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(registry_uri or tracking_uri)
        self._client = MlflowClient(tracking_uri, registry_uri)

    def resolve(self, ref: ModelRef) -> int:
        """The version number behind a reference.

        Raises:
            RegistryError: there is no such model, version or alias.
        """
        with one_line(f"model {ref}"):
            if ref.version is not None:
                return int(self._client.get_model_version(ref.name, str(ref.version)).version)
            return int(self._client.get_model_version_by_alias(ref.name, str(ref.alias)).version)

    def has_version(self, ref: ModelRef) -> bool:
        """Whether there is such a version."""
        try:
            self.resolve(ref)
        except NotFoundError:
            return False
        return True

    def alias_holder(self, name: str, alias: str) -> int | None:
        """The version that holds `alias`, or None."""
        with one_line(f"model {name}"):
            aliases = self._client.get_registered_model(name).aliases
        return int(aliases[alias]) if alias in aliases else None

    def fetch(self, name: str, version: int) -> RegisteredModel:
        """Download and load a version.

        Raises:
            RegistryError: it cannot be downloaded.
            ModelError: it does not load, or its metadata is malformed.
        """
        with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
            with one_line(f"model {name}/{version}"):
                run_id = self._client.get_model_version(name, str(version)).run_id
                path = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=directory))
            identity = ModelVersion(name=name, version=version, run_id=run_id or None, digest=digest_directory(path))
            return _load(path, identity)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point `alias` at a version."""
        with one_line(f"alias {alias} of model {name}"):
            self._client.set_registered_model_alias(name, alias, str(version))

    def set_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags on a version."""
        with one_line(f"tags of model {name}/{version}"):
            for key, value in tags.items():
                self._client.set_model_version_tag(name, str(version), key, value)


@contextmanager
def one_line(thing: str) -> Iterator[None]:
    """Turn MLflow's errors into a RegistryError of one line, NotFoundError where trying again cannot help."""
    try:
        yield
    except (MlflowException, OSError) as error:
        message = _without_credentials(" ".join(str(error).split()))
        permanent = getattr(error, "error_code", "") in _PERMANENT
        raise (NotFoundError if permanent else RegistryError)(f"{thing}: {message[:300]}") from None


def _without_credentials(text: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def digest_directory(path: Path) -> str:
    """SHA-256 over the names and contents of the files of a model."""
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name not in _NOT_PART_OF_MODEL):
        if "__pycache__" in file.parts:
            continue
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        total.update(file.relative_to(path).as_posix().encode() + b"\0" + content)
    return total.hexdigest()


def _load(path: Path, version: ModelVersion) -> RegisteredModel:
    info = mlflow.models.Model.load(str(path))
    if "pytorch" not in info.flavors:
        msg = f"model {version}: a PyTorch model was expected, {', '.join(info.flavors)} came"
        raise ModelError(msg)
    with _own_code(path):
        try:
            model = mlflow.pytorch.load_model(str(path), map_location="cpu")
        except Exception as error:  # loading runs the model's own code: anything can be raised
            message = " ".join(str(error).split())[:300]
            msg = f"model {version} does not load: {type(error).__name__}: {message}"
            raise ModelError(msg) from error
    if not isinstance(model, nn.Module):
        msg = f"model {version}: a torch.nn.Module was expected, {type(model).__name__} came"
        raise ModelError(msg)
    metadata = (info.metadata or {}).get(METADATA_KEY, {})
    names, layer = metadata.get("class_names"), metadata.get("target_layer")
    return RegisteredModel(
        version=version,
        model=model,
        class_names=None if names is None else tuple(map(str, names)),
        preprocessing=_preprocessing(metadata, version),
        input_shape=_input_shape(info),
        target_layer=None if layer is None else str(layer),
    )


@contextmanager
def _own_code(path: Path) -> Iterator[None]:
    """Let a model import the code logged with it (`code_paths`), and forget that code afterwards.

    Two versions often ship different code under one module name. Python would silently give the second version the
    first one's code.
    """
    paths = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = paths
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(path):
                del sys.modules[name]


def _preprocessing(metadata: Mapping[str, Any], version: ModelVersion) -> Preprocessing | None:
    if "preprocessing" not in metadata:
        return None
    try:
        return Preprocessing.model_validate(metadata["preprocessing"])
    except ValidationError as error:
        item = error.errors()[0]
        msg = f"model {version}: its metadata case_monitor.preprocessing.{'.'.join(map(str, item['loc']))}"
        raise ModelError(f"{msg}: {item['msg']}") from None


def _input_shape(info: Any) -> tuple[int, ...] | None:
    inputs = info.signature.inputs.inputs if info.signature and info.signature.inputs else []
    shape = getattr(inputs[0], "shape", None) if inputs else None
    return tuple(shape[1:]) if shape is not None and len(shape) == 4 else None


def pick_device(device: str) -> str:
    """The device to use for "auto", else what was asked for.

    Raises:
        ConfigError: torch does not know or does not have it.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device: {device!r} cannot be used: {' '.join(str(error).split())[:200]}") from None
    return device
