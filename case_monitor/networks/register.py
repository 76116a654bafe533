"""Registering the networks that a study makes for itself, each once, whatever becomes of the others."""

import functools
import hashlib
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from case_monitor.domain.errors import CaseMonitorError, ConfigError, ModelError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.logs.foreign_errors import short_message
from case_monitor.networks.log_model import log_model, made_from
from case_monitor.networks.pretrained import input_shape, pretrained
from case_monitor.networks.small import SMALL_DATA, SmallData, trained
from case_monitor.registry.client import Registry
from case_monitor.settings.study import StudiedModel, StudySettings, read_study

Tell = Callable[[str, int, str], None]
"""Called with a name, a version, and why it is not there; empty: it is."""


def register_networks(file: Path, tracking_uri: str, tell: Tell) -> None:
    """Register what is missing. Where a version fails, no later one of its model is tried: it would take its number."""
    logging.disable(logging.WARNING)  # of MLflow, about packages
    torch.set_num_threads(1)  # whoever waits measures beside
    study = read_study(file)
    registry = Registry(tracking_uri)
    data = functools.cache(lambda name: SMALL_DATA[name]())
    failed: dict[str, str] = {}
    for name, studied, version in _in_order(study):
        if name not in failed:
            try:
                if studied.small:
                    data(str(studied.data)).save_validation(file.parent / "data" / f"{studied.data}.npz")
                small = data(str(studied.data)) if studied.small else None
                _see_to(registry, name, studied, version, tracking_uri, small)
            except CaseMonitorError as error:
                failed[name] = str(error)
            except Exception as error:  # of a library: other networks may do
                traceback.print_exc()
                failed[name] = short_message(f"{type(error).__name__}: {error}")
        tell(name, version, failed.get(name, ""))


def _see_to(
    registry: Registry, name: str, studied: StudiedModel, version: int, tracking_uri: str, data: SmallData | None
) -> None:
    source = _source(studied, version)
    if registry.has_version(ModelRef(name, version=version)):
        _require_same(name, version, source, tracking_uri)
        return
    came = _register(name, studied, version, tracking_uri, source, data)
    if came != version:
        raise ModelError(f"{name}: version {version} was to be registered, it became {came}; take another --directory")


def _in_order(study: StudySettings) -> Iterator[tuple[str, StudiedModel, int]]:
    """As cells ask for them: seed by seed."""
    own = {name: model for name, model in study.models.items() if model.architecture}
    for place in range(max((len(model.numbers) for model in own.values()), default=0)):
        for name, model in own.items():
            if place < len(model.numbers):
                yield name, model, model.numbers[place]


def _source(studied: StudiedModel, version: int) -> str:
    """What makes it the network that it is."""
    if studied.small:
        return f"{studied.small} on {studied.data}, seed {version - 1}"
    file = studied.weights[version - 1]
    try:
        with file.open("rb") as content:
            weights = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"weights: a file was expected: {file}: {error.strerror}") from None
    library = "torchvision" if studied.torchvision else "timm"
    # Which preprocessing is taken may depend on what the file is called.
    named = studied.preprocessing.model_dump_json() if studied.preprocessing else f"that of {file.name}"
    return f"{studied.architecture} of {library}, weights {weights}, preprocessing {named}"


def _require_same(name: str, version: int, source: str, tracking_uri: str) -> None:
    """A version that is there is the one that the study means: weights may have been replaced since."""
    known = made_from(name, version, tracking_uri)
    if known != source:
        msg = f"{name}/{version}: {source} was expected, the one that is registered is {known or 'of unknown origin'}"
        raise ConfigError(f"{msg}; take another --directory")


def _register(
    name: str, studied: StudiedModel, version: int, tracking_uri: str, source: str, data: SmallData | None
) -> int:
    if data is not None:
        return log_model(
            trained(str(studied.small), data, seed=version - 1),
            name,
            tracking_uri=tracking_uri,
            input_shape=data.shape,
            num_classes=len(data.class_names),
            class_names=data.class_names,
            preprocessing=data.preprocessing,
            source=source,
            seed_group=name,
        )
    found = pretrained(studied, studied.weights[version - 1])
    return log_model(
        found.model,
        name,
        tracking_uri=tracking_uri,
        input_shape=input_shape(found.preprocessing),
        num_classes=found.num_classes,
        class_names=None,
        preprocessing=found.preprocessing,
        source=source,
        seed_group=name,
        pip_requirements=("torch", found.package),
    )
