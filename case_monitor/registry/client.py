"""The MLflow model registry: find a version, load it with its metadata, move aliases, set tags."""

import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import mlflow
import torch
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from torch import nn

from case_monitor.domain.errors import CaseMonitorError, ConfigError, ModelError, NotFoundError, RegistryError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.model_version import ModelVersion
from case_monitor.logs.foreign_errors import short_message
from case_monitor.registry.answers import PERMANENT, require_named, says_no_alias, says_no_model, version_named
from case_monitor.settings import Preprocessing

METADATA_KEY = "case_monitor"
_REGISTERED: Literal["model_version.created"] = "model_version.created"
_NEWEST = "latest"  # MLflow's own word for the newest version, which has no such alias
_LOADING = threading.Lock()  # a model's code is imported under names that belong to the whole process
# MLflow writes this file beside what it downloads; it is not part of the model.
_NOT_PART_OF_MODEL = {"registered_model_meta"}


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
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        with one_line(f"registry {registry_uri or tracking_uri}"):
            mlflow.set_tracking_uri(tracking_uri)
            mlflow.set_registry_uri(registry_uri or tracking_uri)
            self._client = MlflowClient(tracking_uri, registry_uri or tracking_uri)
        self._uri = registry_uri or tracking_uri

    def resolve(self, ref: ModelRef) -> int:
        """The version number behind a reference.

        Raises:
            RegistryError: there is no such model, version or alias.
        """
        with one_line(f"model {ref}"):
            if ref.version is None:
                return self._holder(ref.name, str(ref.alias))
            return version_named(self._client.get_model_version(ref.name, str(ref.version)), ref.name, ref.version)

    def has_version(self, ref: ModelRef) -> bool:
        """Whether there is such a version."""
        try:
            self.resolve(ref)
        except NotFoundError:
            return False
        return True

    def newest_version(self, name: str) -> int | None:
        """The version that was registered last, or None."""
        with one_line(f"model {name}"):
            found = self._client.search_model_versions(_of(name), max_results=1, order_by=["version_number DESC"])
            if not found:
                self._require_without_versions(name)
            return version_named(found[0], name) if found else None

    def alias_holder(self, name: str, alias: str) -> int | None:
        """The version that holds `alias`; None only where the registry says in so many words that none does.

        An answer with nothing in it is no answer: taken for "none", it would promote without a comparison.
        """
        with one_line(f"model {name}"):
            try:
                return self._holder(name, alias)
            except MlflowException as error:
                if not says_no_alias(error, alias):
                    raise
            model = self._client.get_registered_model(name)
            require_named(model, name)
            if alias in model.aliases:
                has = model.aliases[alias]
                raise RegistryError(f"the registry says that alias {alias} is not there, and that version {has} has it")
            return None

    def _holder(self, name: str, alias: str) -> int:
        found = self._client.get_model_version_by_alias(name, alias)
        version = version_named(found, name)
        if found.aliases and alias not in found.aliases and alias.lower() != _NEWEST:
            msg = f"the registry says that version {version} has alias {alias}, and that it has only {found.aliases}"
            raise RegistryError(msg)
        return version

    def _require_without_versions(self, name: str) -> None:
        """An empty list is believed where the registry knows the model, and names no version of it, or knows none."""
        try:
            model = self._client.get_registered_model(name)
        except MlflowException as error:
            if says_no_model(error, name):
                return
            raise
        require_named(model, name)
        if model.latest_versions:
            latest = model.latest_versions[0].version
            raise RegistryError(f"the registry lists no version, and says that {latest} is one")

    def versions_since(self, name: str, since: datetime) -> list[int]:
        """The versions registered after a time, the oldest first."""
        with one_line(f"model {name}"):
            found: list[int] = []
            token = None
            while True:
                page = self._client.search_model_versions(_of(name), max_results=200, page_token=token)
                if not page and token is None:
                    self._require_without_versions(name)
                numbers = [(version_named(v, name), v.creation_timestamp) for v in page]
                found += [number for number, created in numbers if created >= since.timestamp() * 1000]
                token = page.token
                if not token:
                    return sorted(found)

    def fetch(self, name: str, version: int) -> RegisteredModel:
        """Download and load a version.

        Raises:
            RegistryError: it cannot be downloaded.
            ModelError: it does not load, or its metadata is malformed.
        """
        with self._downloaded(name, version) as (path, run_id):
            identity = ModelVersion(name=name, version=version, run_id=run_id, digest=digest_directory(path))
            return _load(path, identity)

    def artifact_digest(self, name: str, version: int) -> str:
        """Of a version's artifact as it is now; nothing of it is run."""
        with self._downloaded(name, version) as (path, _):
            return digest_directory(path)

    @contextmanager
    def _downloaded(self, name: str, version: int) -> Iterator[tuple[Path, str | None]]:
        """The files of a version, and the run that logged it."""
        with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
            with one_line(f"model {name}/{version}"):
                found = self._client.get_model_version(name, str(version))
                version_named(found, name, version)
                # Not models:/<name>/<version>, which MLflow reads as an alias where the name has an @.
                uri = self._client.get_model_version_download_uri(name, str(version))
                if not found.source or not uri:
                    raise RegistryError("the place of its files was expected, the registry names none")
                path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=directory, tracking_uri=self._uri))
            yield path, found.run_id or None

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point `alias` at a version, and see that it is so."""
        with one_line(f"alias {alias} of model {name}"):
            self._client.set_registered_model_alias(name, alias, str(version))
            self._require_holder(name, alias, version)

    def remove_alias(self, name: str, alias: str) -> None:
        """Take `alias` from whatever version has it."""
        with one_line(f"alias {alias} of model {name}"):
            self._client.delete_registered_model_alias(name, alias)
            self._require_holder(name, alias, None)

    def _require_holder(self, name: str, alias: str, version: int | None) -> None:
        holder = self.alias_holder(name, alias)
        if holder != version:
            raise RegistryError(f"version {version or 'none'} was to hold it, version {holder or 'none'} does")

    def set_webhook(self, name: str, url: str, secret: str) -> bool:
        """Have the server post to `url` whenever a version is registered; False if one of that name was renewed."""
        with one_line(f"webhook {name}"):
            found = [hook for hook in self._client.list_webhooks() if hook.name == name]
            for hook in found[1:]:
                self._client.delete_webhook(hook.webhook_id)
            if found:
                self._client.update_webhook(
                    found[0].webhook_id, url=url, events=[_REGISTERED], secret=secret, status="ACTIVE"
                )
            else:
                self._client.create_webhook(name, url, [_REGISTERED], secret=secret)
        return not found

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
    except RegistryError as error:
        said = str(error)
        raise type(error)(said if said.startswith(thing) else f"{short_message(thing)}: {said}") from None
    except CaseMonitorError:
        raise
    except (MlflowException, SQLAlchemyError, OSError) as error:
        permanent = getattr(error, "error_code", "") in PERMANENT
        raise (NotFoundError if permanent else RegistryError)(
            f"{short_message(thing)}: {short_message(error)}"
        ) from None
    except Exception as error:  # what MLflow's client makes of an answer that is none: AttributeError, ParseError, ...
        msg = f"{short_message(thing)}: the answer makes no sense: {type(error).__name__}: {short_message(error)}"
        raise RegistryError(msg) from error


def _of(name: str) -> str:
    """A filter as MLflow wants it; a name with both quotes cannot be asked for."""
    mark = '"' if "'" in name else "'"
    return f"name = {mark}{name}{mark}"


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


class _Metadata(BaseModel):
    """What `model_metadata` wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    class_names: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    target_layer: str | None = None


def _load(path: Path, version: ModelVersion) -> RegisteredModel:
    try:
        info = mlflow.models.Model.load(str(path))
    except Exception as error:
        raise ModelError(f"model {version}: its MLmodel file cannot be read: {short_message(error)}") from error
    if "pytorch" not in info.flavors:
        msg = f"model {version}: a PyTorch model was expected, {', '.join(info.flavors)} came"
        raise ModelError(msg)
    metadata = _metadata(info, version)
    own_code = _own_code(path / (info.flavors["pytorch"].get("code") or "code"))
    with own_code, foreign_code(f"model {version}", "does not load"):  # loading runs the model's own code
        model = mlflow.pytorch.load_model(str(path), map_location="cpu")
        is_module = isinstance(model, nn.Module)  # it may define what its class is
    if not is_module:
        msg = f"model {version}: a torch.nn.Module was expected, {type(model).__name__} came"
        raise ModelError(msg)
    return RegisteredModel(
        version=version,
        model=model,
        class_names=metadata.class_names,
        preprocessing=metadata.preprocessing,
        input_shape=_input_shape(info),
        target_layer=metadata.target_layer,
    )


@contextmanager
def _own_code(directory: Path) -> Iterator[None]:
    """Let a model import the code logged with it (`code_paths`), and forget that code afterwards.

    Two versions often ship different code under one module name, and the same name may be imported here already.
    Python would silently give the version that other code.
    """
    own = {entry.name.partition(".")[0] for entry in directory.glob("*") if _is_importable(entry)}
    with _LOADING:
        path, entries = sys.path, list(sys.path)
        hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in own}
        try:
            yield
        finally:
            path[:] = entries
            sys.path = path  # MLflow puts another list in its place
            for name in [name for name in sys.modules if name.partition(".")[0] in own]:
                del sys.modules[name]
            sys.modules.update(hidden)


def _is_importable(entry: Path) -> bool:
    if not entry.is_dir():
        return entry.suffix in {".py", ".so", ".pyd"}
    # A folder without __init__.py does not stand before a package of that name, wherever that one is.
    package = getattr(sys.modules.get(entry.name), "__file__", None)
    return (entry / "__init__.py").exists() or (package is None and any(entry.rglob("*.py")))


def _metadata(info: Any, version: ModelVersion) -> _Metadata:
    try:
        return _Metadata.model_validate((info.metadata or {}).get(METADATA_KEY, {}))
    except ValidationError as error:
        item = error.errors()[0]
        field = ".".join([METADATA_KEY, *map(str, item["loc"])])
        raise ModelError(f"model {version}: its metadata {field}: {item['msg']}") from None


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
