"""A registered version with its files: nothing of it is run here."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
from pydantic import ValidationError

from case_monitor.domain.errors import ModelError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.logs.foreign_errors import short_message
from case_monitor.registry.artifact import ALL_ALLOWED, Trust, check_artifact
from case_monitor.registry.client import Registry
from case_monitor.registry.digest import digest_directory, remove_uncounted
from case_monitor.registry.metadata import METADATA_KEY, Metadata
from case_monitor.registry.pretrained import labels_of
from case_monitor.settings import Preprocessing

_TRANSFORMERS, _TASK = "transformers", "image-classification"
_DATA = {"pytorch": "model_data", _TRANSFORMERS: "model_binary"}
"""Flavour of MLflow -> the field that says in which folder the model is."""
_USUAL = {"model_data": "data", "model_binary": "model"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegisteredModel:
    """A model version and what was logged with it; None where nothing was.

    Attributes:
        version: its identity.
        files: from which it is loaded, where it can do no harm.
        class_names: in the order of the logits.
        preprocessing: from image to input.
        input_shape: (C, H, W), -1 where any size is accepted.
        target_layer: dotted name.
    """

    version: ModelVersion
    files: ModelFiles
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    input_shape: tuple[int, ...] | None
    target_layer: str | None


def fetch(registry: Registry, name: str, version: int, trust: Trust = ALL_ALLOWED) -> RegisteredModel:
    """Download a version that may be loaded.

    Raises:
        RegistryError: it cannot be downloaded.
        ModelError: it may not be loaded, it is no PyTorch model, or its metadata is malformed.
    """
    with ExitStack() as held:
        path, run_id, seeds = held.enter_context(registry.downloaded(name, version))
        digest = digest_directory(path)
        identity = ModelVersion(name=name, version=version, run_id=run_id, digest=digest, seed_group=seeds)
        identity = replace(identity, signer=check_artifact(path, identity, trust))
        remove_uncounted(path)
        info = _description(path, identity)
        metadata = _metadata(info, identity)
        flavor, data = next((name, data) for name, data in _DATA.items() if isinstance(info.flavors.get(name), dict))
        files = _files(path, info.flavors[flavor], data, f"model {identity}", held)
        named = labels_of(path / files.data / "config.json", f"model {identity}") if flavor == _TRANSFORMERS else None
    logged = metadata.class_names
    if named and logged and named != logged and sorted(named) == sorted(logged):
        u = next(u for u, (a, b) in enumerate(zip(named, logged, strict=True)) if a != b)
        msg = f"model {identity}: class {u} is {logged[u]!r} by its metadata, and {named[u]!r} by id2label"
        raise ModelError(f"{msg} in its config.json; log it with the order of its logits in both")
    return RegisteredModel(
        version=identity,
        files=files,
        class_names=metadata.class_names or named,
        preprocessing=metadata.preprocessing,
        input_shape=_input_shape(info),
        target_layer=metadata.target_layer,
    )


def _description(path: Path, version: ModelVersion) -> Any:
    """What the file MLmodel says; nothing of the model is run."""
    try:
        info = mlflow.models.Model.load(str(path))
        flavors = dict(info.flavors)
    except Exception as error:
        raise ModelError(f"model {version}: its MLmodel file cannot be read: {short_message(error)}") from error
    if not any(isinstance(flavors.get(name), dict) for name in _DATA):
        came = ", ".join(map(str, flavors))
        msg = (
            f"model {version}: a PyTorch model was expected, {came} came; log the torch.nn.Module inside it with "
            "mlflow.pytorch.log_model, or a classifier of transformers with mlflow.transformers.log_model"
        )
        raise ModelError(msg)
    if "pytorch" in flavors and _TRANSFORMERS in flavors:
        msg = f"model {version}: one of the flavours pytorch and transformers was expected, both came"
        raise ModelError(f"{msg}: they may be two networks")
    if "pytorch" in flavors:
        return info
    whole = "model_binary" in flavors[_TRANSFORMERS] and "peft_adaptor" not in flavors[_TRANSFORMERS]
    if not whole:
        msg = f"model {version}: a whole network was expected, an adapter or a reference to a model hub came"
        raise ModelError(f"{msg}; merge it, and log it with its weights")
    task = flavors[_TRANSFORMERS].get("task")
    if task != _TASK:
        msg = f"model {version}: the task {_TASK} was expected of a model of transformers, {str(task)[:80]!r} came"
        raise ModelError(msg)
    return info


def _files(path: Path, flavor: Mapping[str, object], data: str, title: str, held: ExitStack) -> ModelFiles:
    """Those that the file MLmodel names; `held` is what keeps them, and gives them up with the last who needs them."""
    folders = []
    for key, usual in ((data, _USUAL[data]), ("code", "code")):
        named = flavor.get(key) or usual
        if not isinstance(named, str) or not (path / named).resolve().is_relative_to(path.resolve()):
            raise ModelError(f"{title}: {key} in its MLmodel file: a path among its files was expected, {named!r} came")
        folders.append(named)
    return ModelFiles(path, title, *folders, held=held.pop_all())


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
