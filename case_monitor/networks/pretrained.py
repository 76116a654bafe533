"""Architectures of torchvision and timm with weights from a file on this machine. Nothing is downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torchvision
from torch import Tensor, nn

from case_monitor.dataset.read_transform import preprocessing_of
from case_monitor.domain.errors import ConfigError
from case_monitor.settings import Preprocessing
from case_monitor.settings.study import StudiedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pretrained:
    """A network with its weights.

    Attributes:
        model: in evaluation mode.
        preprocessing: what its images go through.
        num_classes: how many logits it returns.
        package: that its pickle needs.
    """

    model: nn.Module
    preprocessing: Preprocessing
    num_classes: int
    package: str


def pretrained(studied: StudiedModel, weights: Path) -> Pretrained:
    """Build an architecture for as many classes as its weights have.

    Raises:
        ConfigError: there is no such architecture, or the file holds no weights for it.
    """
    state = _read(weights)
    of = _Torchvision(studied.torchvision, weights) if studied.torchvision else _Timm(str(studied.timm))
    num_classes = _num_classes(state, of, weights)
    model = of.build(num_classes)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        msg = str(error).split("\n")[1].strip() if "\n" in str(error) else str(error)
        raise ConfigError(f"weights {weights}: those of {studied.architecture} were expected: {msg[:200]}") from None
    return Pretrained(
        model=model.eval(),
        preprocessing=studied.preprocessing or of.preprocessing(),
        num_classes=num_classes,
        package=of.package,
    )


class _Library(Protocol):
    package: str

    def build(self, num_classes: int) -> nn.Module: ...

    def preprocessing(self) -> Preprocessing: ...


class _Torchvision:
    package = "torchvision"

    def __init__(self, name: str, weights: Path) -> None:
        if name not in torchvision.models.list_models(module=torchvision.models):
            raise ConfigError(f"torchvision: a classifier of torchvision.models was expected, {name!r} came")
        self._name, self._weights = name, weights

    def build(self, num_classes: int) -> nn.Module:
        model: nn.Module = torchvision.models.get_model(self._name, weights=None, num_classes=num_classes)
        return model

    def preprocessing(self) -> Preprocessing:
        """Weights of one architecture were trained with several; torchvision's files are called by their digest."""
        known = torchvision.models.get_model_weights(self._name)
        published = (of for of in known if Path(of.url).name == self._weights.name)
        return preprocessing_of(next(published, known.DEFAULT).transforms())


class _Timm:
    package = "timm"

    def __init__(self, name: str) -> None:
        try:
            import timm
        except ModuleNotFoundError:
            raise ConfigError(f"timm: {name} needs the package timm: pip install timm") from None
        if name not in timm.list_models():
            raise ConfigError(f"timm: an architecture of timm was expected, {name!r} came")
        self._name = name

    def build(self, num_classes: int) -> nn.Module:
        import timm

        model: nn.Module = timm.create_model(self._name, pretrained=False, num_classes=num_classes)
        return model

    def preprocessing(self) -> Preprocessing:
        from timm.data.config import resolve_model_data_config
        from timm.data.transforms_factory import create_transform

        with torch.device("meta"):
            model = self.build(2)
        config = resolve_model_data_config(model)  # type: ignore[no-untyped-call] # timm gives it no types
        return preprocessing_of(create_transform(**config))


def _read(file: Path) -> Mapping[str, Tensor]:
    """A state dict; a pickle's code is not run."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"weights: a file was expected, {file} is not there") from None
    except Exception as error:  # whatever a file may hold
        reason = str(error).split("\n")[0][:200]
        raise ConfigError(f"weights {file}: a state dict that torch.save wrote was expected: {reason}") from None
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ConfigError(f"weights {file}: a state dict was expected, {type(content).__name__} came")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _num_classes(state: Mapping[str, Tensor], of: _Library, file: Path) -> int:
    """The rows of the head: of whatever grows with the number of classes."""
    with torch.device("meta"):  # shapes alone
        few, more = (of.build(n).state_dict() for n in (2, 3))
    heads = [name for name, value in few.items() if value.shape != more[name].shape]
    found = next((state[name] for name in heads if name in state and state[name].ndim), None)
    if found is None:
        raise ConfigError(f"weights {file}: those of a classifier were expected, none is called {' or '.join(heads)}")
    return int(found.shape[0])


def input_shape(preprocessing: Preprocessing) -> tuple[int, int, int]:
    """(C, H, W) of an image that is prepared; -1 where the image decides."""
    size = preprocessing.crop or (preprocessing.resize if isinstance(preprocessing.resize, tuple) else None)
    height, width = (size, size) if isinstance(size, int) else size or (-1, -1)
    return len(preprocessing.mean), height, width
