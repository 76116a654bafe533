"""Architectures with weights from a file: what is built, and which files are refused without running them."""

import pickle
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from case_monitor.domain.errors import ConfigError
from case_monitor.networks.pretrained import input_shape, pretrained
from case_monitor.settings import Preprocessing
from case_monitor.settings.study import StudiedModel


def studied(file: Path, **fields: object) -> StudiedModel:
    given = {"torchvision": "resnet18", "weights": str(file), "data": "d"} | fields
    return StudiedModel.model_validate({name: value for name, value in given.items() if value is not None})


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=6).eval()


@pytest.mark.parametrize("kind", ["plain", "safetensors", "nested", "of several GPUs"])
def test_the_network_that_was_saved_is_built(tmp_path: Path, network: nn.Module, kind: str) -> None:
    state = network.state_dict()
    file = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(state, file)
    elif kind == "nested":
        torch.save({"epoch": 3, "state_dict": state}, file)
    else:
        torch.save({f"module.{name}": v for name, v in state.items()} if kind.startswith("of") else state, file)
    found = pretrained(studied(file), file)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(found.model(images), network(images))
    assert (found.num_classes, found.package) == (6, "torchvision")
    assert (found.preprocessing.resize, found.preprocessing.crop) == (256, 224)
    assert input_shape(found.preprocessing) == (3, 224, 224)


@pytest.mark.parametrize(("published", "resize"), [("IMAGENET1K_V1", 256), ("IMAGENET1K_V2", 232), (None, 232)])
def test_published_weights_have_the_preprocessing_that_they_were_trained_with(
    tmp_path: Path, published: str | None, resize: int
) -> None:
    known = torchvision.models.get_model_weights("resnet50")
    file = tmp_path / (Path(known[published].url).name if published else "own.pth")
    torch.save(torchvision.models.resnet50(num_classes=3).state_dict(), file)
    found = pretrained(studied(file, torchvision="resnet50"), file)
    assert (found.preprocessing.resize, found.preprocessing.crop) == (resize, 224)


def test_a_preprocessing_of_ones_own_counts(tmp_path: Path, network: nn.Module) -> None:
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    own = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize=(40, 60))
    found = pretrained(studied(file, preprocessing=own.model_dump()), file)
    assert found.preprocessing == own
    assert input_shape(found.preprocessing) == (3, 40, 60)
    assert input_shape(Preprocessing(mean=(0.5,), std=(0.5,), resize=40)) == (1, -1, -1)


def test_timms_architectures_are_built_too(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=4).eval()
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    found = pretrained(studied(file, torchvision=None, timm="resnet10t"), file)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(found.model(images), network(images))
    assert (found.num_classes, found.package) == (4, "timm")


class Runs:
    """A pickle that makes a file when it is read."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.made,)


def test_code_in_weights_is_not_run(tmp_path: Path) -> None:
    file, made = tmp_path / "weights.pth", tmp_path / "made"
    torch.save({"layer.weight": torch.zeros(2, 2), "more": Runs(made)}, file)
    pickle.loads(pickle.dumps(Runs(tmp_path / "control")))
    with pytest.raises(ConfigError, match=r"a state dict that torch\.save wrote was expected"):
        pretrained(studied(file), file)
    assert (tmp_path / "control").exists()
    assert not made.exists()


def test_what_is_wrong_is_said(tmp_path: Path, network: nn.Module) -> None:
    file = tmp_path / "weights.pth"
    with pytest.raises(ConfigError, match=r"weights: a file was expected, .*weights.pth is not there"):
        pretrained(studied(file), file)
    torch.save(network.state_dict(), file)
    with pytest.raises(ConfigError, match="those of resnet34 were expected"):
        pretrained(studied(file, torchvision="resnet34"), file)
    with pytest.raises(ConfigError, match=r"a classifier of torchvision.models was expected, 'resnet5' came"):
        pretrained(studied(file, torchvision="resnet5"), file)
    with pytest.raises(ConfigError, match="an architecture of timm was expected, 'none' came"):
        pretrained(studied(file, torchvision=None, timm="none"), file)
    file.write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"a state dict that torch\.save wrote was expected"):
        pretrained(studied(file), file)
    torch.save({"a": 3}, file)
    with pytest.raises(ConfigError, match="a state dict was expected, dict came"):
        pretrained(studied(file), file)
    torch.save({"bias": torch.zeros(3)}, file)
    with pytest.raises(
        ConfigError, match=r"those of a classifier were expected, none is called fc\.weight or fc\.bias"
    ):
        pretrained(studied(file), file)
