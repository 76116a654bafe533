"""Load a registered model from its files. Its own code runs: only ever in a process of its own."""

import importlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from case_monitor.domain.errors import ModelError

_PICKLED, _EXPORTED, _PRETRAINED = "model.pth", "model.pt2", "config.json"


def load_model(data: Path, code: Path, title: str) -> nn.Module:
    """The module, on the CPU.

    Args:
        data: a folder with what `mlflow.pytorch.log_model` saved of it, or the file of an older MLflow; or one with
            what `mlflow.transformers.log_model` saved.
        code: a folder with modules that it imports; they come before installed ones.
        title: whose it is, for messages.

    Raises:
        ModelError: the files hold something else. Whatever the model's code raises comes as it is.
    """
    if code.is_dir():
        _put_first(code)
    pickled = data / _PICKLED if data.is_dir() else data
    kinds = [name for name in (_PICKLED, _EXPORTED, _PRETRAINED) if (data / name).exists()]
    if len(kinds) > 1:  # whoever serves it may load another one than is judged here
        raise ModelError(f"{title}: files of one kind of model were expected, {' and '.join(kinds)} came")
    if kinds == [_PRETRAINED]:
        return _pretrained(data, title)
    if pickled.exists():
        model = torch.load(pickled, map_location="cpu", pickle_module=pickle, weights_only=False)
    else:
        model = torch.export.load(data / _EXPORTED).module()
    if not isinstance(model, nn.Module):
        raise ModelError(f"{title}: a torch.nn.Module was expected, {type(model).__name__} came")
    if pickled.exists():
        model.eval()  # an export has no such switch
    return model


def _pretrained(folder: Path, title: str) -> nn.Module:
    """An image classifier of transformers: weights and a configuration, and no code of its own."""
    if importlib.util.find_spec("transformers") is None:
        msg = f"{title} was logged with mlflow.transformers: the package transformers was expected beside case_monitor"
        raise ModelError(f"{msg}, it is not installed; pip install transformers")
    os.environ["HF_HUB_OFFLINE"] = "1"
    classifiers = importlib.import_module("transformers").AutoModelForImageClassification
    model: nn.Module
    model, found = classifiers.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, output_loading_info=True
    )
    _require_all_weights(found, type(model).__name__, title)
    return model.eval()


def _require_all_weights(found: Mapping[str, Any], network: str, title: str) -> None:
    """See that every weight was filled, and every one that was stored has its place: the rest would be random.

    Raises:
        ModelError: it is not so.
    """
    kinds = (
        ("missing_keys", "lack"),
        ("mismatched_keys", "have in another shape"),
        ("unexpected_keys", "have besides"),
    )
    off = [f"{verb} {sorted(map(str, found[kind]))[:3]}" for kind, verb in kinds if found.get(kind)]
    if off:
        msg = f"{title}: the weights of a {network} were expected, those that came {' and '.join(off)}"
        raise ModelError(f"{msg}; log a network with layers of its own with mlflow.pytorch.log_model")


def _put_first(code: Path) -> None:
    """Let the model import its own code, also where a module of that name is here already."""
    own = {entry.name.partition(".")[0] for entry in code.iterdir() if _is_importable(entry)}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    sys.path.insert(0, str(code))


def _is_importable(entry: Path) -> bool:
    if not entry.is_dir():
        return entry.suffix in {".py", ".so", ".pyd"}
    # A folder without __init__.py does not stand before a package of that name, wherever that one is.
    package = getattr(sys.modules.get(entry.name), "__file__", None)
    return (entry / "__init__.py").exists() or (package is None and any(entry.rglob("*.py")))
