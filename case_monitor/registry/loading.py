"""Loading a registered version: its own code runs here."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from pydantic import ValidationError
from torch import nn

from case_monitor.domain.errors import ModelError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.model_version import ModelVersion
from case_monitor.logs.foreign_errors import short_message
from case_monitor.registry.client import Registry
from case_monitor.registry.digest import digest_directory
from case_monitor.registry.metadata import METADATA_KEY, Metadata
from case_monitor.settings import Preprocessing

_LOADING = threading.Lock()  # a model's code is imported under names that belong to the whole process


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


def fetch(registry: Registry, name: str, version: int) -> RegisteredModel:
    """Download and load a version.

    Raises:
        RegistryError: it cannot be downloaded.
        ModelError: it does not load, or its metadata is malformed.
    """
    with registry.downloaded(name, version) as (path, run_id):
        identity = ModelVersion(name=name, version=version, run_id=run_id, digest=digest_directory(path))
        return _load(path, identity)


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


def _metadata(info: Any, version: ModelVersion) -> Metadata:
    try:
        return Metadata.model_validate((info.metadata or {}).get(METADATA_KEY, {}))
    except ValidationError as error:
        item = error.errors()[0]
        field = ".".join([METADATA_KEY, *map(str, item["loc"])])
        raise ModelError(f"model {version}: its metadata {field}: {item['msg']}") from None


def _input_shape(info: Any) -> tuple[int, ...] | None:
    inputs = info.signature.inputs.inputs if info.signature and info.signature.inputs else []
    shape = getattr(inputs[0], "shape", None) if inputs else None
    return tuple(shape[1:]) if shape is not None and len(shape) == 4 else None
