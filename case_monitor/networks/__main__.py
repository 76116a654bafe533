"""`python -m case_monitor.networks STUDY.yaml TRACKING_URI`: register the networks that a study makes for itself.

Those that are registered already stay. A line of JSON on standard output for each; an error is one such line.
"""

import functools
import hashlib
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import torch

from case_monitor.domain.errors import CaseMonitorError, ConfigError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.networks.log_model import log_model, made_from
from case_monitor.networks.pretrained import input_shape, pretrained
from case_monitor.networks.small import SMALL_DATA, SmallData, trained
from case_monitor.registry.client import Registry
from case_monitor.settings.study import StudiedModel, StudySettings, read_study


def main() -> int:
    """Register what is missing."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.disable(logging.WARNING)  # of MLflow, about packages
    torch.set_num_threads(1)  # whoever waits measures beside
    file, tracking_uri = Path(sys.argv[1]), sys.argv[2]
    try:
        study = read_study(file)
        registry = Registry(tracking_uri)
        data = functools.cache(lambda name: SMALL_DATA[name]())
        for name, studied, version in _in_order(study):
            if studied.small:
                data(str(studied.data)).save_validation(file.parent / "data" / f"{studied.data}.npz")
            source = _source(studied, version)
            if registry.has_version(ModelRef(name, version=version)):
                _require_same(name, version, source, tracking_uri)
            else:
                small = data(str(studied.data)) if studied.small else None
                came = _register(name, studied, version, tracking_uri, source, small)
                _require(came == version, f"{name}: version {version} was to be registered, it became {came}")
            _tell(ready=name, version=version)
    except CaseMonitorError as error:
        _tell(error=str(error))
        return 1
    return 0


def _end_with_parent() -> None:
    """Whoever started this holds the other end of standard input, and may be killed."""
    sys.stdin.read()
    os._exit(1)


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
    named = studied.preprocessing.model_dump_json() if studied.preprocessing else "its own"
    return f"{studied.architecture} of {library}, weights {weights}, preprocessing {named}"


def _require_same(name: str, version: int, source: str, tracking_uri: str) -> None:
    """A version that is there is the one that the study means: weights may have been replaced since."""
    known = made_from(name, version, tracking_uri)
    msg = f"{name}/{version}: {source} was expected, the one that is registered is {known or 'of unknown origin'}"
    _require(known == source, f"{msg}; take another --directory")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


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
        pip_requirements=("torch", found.package),
    )


def _tell(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
