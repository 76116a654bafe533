"""Models as people write and change them: explained as the network inside, or refused in one line that names why."""

import warnings
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from case_monitor.domain.errors import CaseMonitorError, ModelError, TargetLayerError
from case_monitor.saliency import find_target_layer, saliency_maps

TARGETS = torch.tensor([[0], [1], [4]])
METHODS = ("case", "gradcam", "scorecam")
Output = namedtuple("Output", "logits aux_logits")


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    early = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    return nn.Sequential(*early, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()


def _images() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class _Around(nn.Module):
    """A network, and what is done around it."""

    def __init__(self, forward: Callable[[nn.Sequential, Tensor], Any]) -> None:
        super().__init__()
        self.net, self._forward = _network(), forward

    def forward(self, images: Tensor) -> Any:
        return self._forward(self.net, images)


def _auxiliary(net: nn.Sequential, images: Tensor) -> Output:
    early = net[:4](images)
    return Output(net[4:](early), early.mean((2, 3))[:, :5])


def _cut_off(net: nn.Sequential, images: Tensor) -> Tensor:
    logits: Tensor = net[4:](net[:4](images).detach())
    return logits


def _reentrant(net: nn.Sequential, images: Tensor) -> Tensor:
    logits: Tensor = net[4:](checkpoint(net[:4], images, use_reentrant=True))
    return logits


def _copies(net: nn.Sequential, images: Tensor) -> Tensor:
    both: Tensor = net(torch.cat([images, images.flip(-1)]))
    return both.view(2, len(images), -1).mean(0)


WORK: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "compiled": (lambda: torch.compile(_network(), backend="eager"), "3"),
    "DataParallel": (lambda: nn.DataParallel(_network()), "3"),
    "a network inside": (lambda: _Around(lambda net, images: net(images)), "net.3"),
    "logits by name": (lambda: _Around(lambda net, images: {"logits": net(images)}), "net.3"),
    "auxiliary head": (lambda: _Around(_auxiliary), "net.3"),
    "checkpointing": (lambda: _Around(lambda n, x: n[4:](checkpoint(n[:4], x, use_reentrant=False))), "net.3"),
    "no_grad inside": (lambda: _Around(torch.no_grad()(lambda net, images: net(images))), "net.3"),
    "float64": (lambda: _network().double(), "3"),
}


@pytest.mark.parametrize("name", WORK)
def test_it_is_explained_as_the_network_inside(name: str) -> None:
    make, layer = WORK[name]
    model, images = make(), _images()
    if name == "float64":
        images = images.double()
    assert find_target_layer(model, images[:2]) == layer
    ours = saliency_maps(model, images, TARGETS, target_layer=layer, methods=METHODS)
    expected = saliency_maps(_network(), _images(), TARGETS, target_layer="3", methods=METHODS)
    for method, maps in expected.items():
        torch.testing.assert_close(ours[method].float(), maps)


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.early, self.rows, self.head = _network()[:4], nn.GRU(8, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        rows, _ = self.rows(self.early(images).mean(3).transpose(1, 2))
        logits: Tensor = self.head(rows[:, -1])
        return logits


def test_a_recurrent_head_is_one_that_gradients_pass() -> None:
    torch.manual_seed(0)
    model, images = _Recurrent().eval(), _images()
    layer = find_target_layer(model, images)
    assert layer in {"early", "early.3"}
    ours = saliency_maps(model, images, TARGETS, target_layer=layer, methods=("gradcam",), size="layer")["gradcam"]
    activations = model.early(images).detach().requires_grad_()
    rows, _ = model.rows(activations.mean(3).transpose(1, 2))
    (gradients,) = torch.autograd.grad(model.head(rows[:, -1]).gather(1, TARGETS).sum(), activations)
    expected = (gradients.mean((2, 3), keepdim=True) * activations.detach()).sum(1, keepdim=True).relu()
    torch.testing.assert_close(ours, expected)


def _quantised() -> nn.Module:
    from torch.ao.quantization import QuantWrapper, convert, get_default_qconfig, prepare

    model = QuantWrapper(_network()).eval()
    model.qconfig = get_default_qconfig(torch.backends.quantized.engine)
    prepared = prepare(model)
    prepared(_images())
    quantised: nn.Module = convert(prepared)
    return quantised


def _dynamic() -> nn.Module:
    quantised: nn.Module = torch.ao.quantization.quantize_dynamic(_network(), {nn.Linear}, dtype=torch.qint8)
    return quantised


REFUSED: dict[str, tuple[Callable[[], nn.Module], type[CaseMonitorError], str]] = {
    "scripted": (lambda: torch.jit.script(_network()), ModelError, r"scripted or traced \(TorchScript\)"),
    "traced": (lambda: torch.jit.trace(_network(), _images()), ModelError, "log the module that it was made from"),
    "frozen": (lambda: torch.jit.freeze(torch.jit.script(_network())), ModelError, "serialization_format='pt2'"),
    "scripted inside": (lambda: _scripted_inside(), ModelError, "its module 'net' is scripted"),
    "int8": (_quantised, ModelError, r"its module 'quant' is quantised \(Quantize\)"),
    "int8 head": (_dynamic, ModelError, r"its module '6' is quantised \(Linear\).*log the network that was quantised"),
    "cut off": (lambda: _Around(_cut_off), TargetLayerError, "cut off in between, as by detach"),
    "NumPy": (
        lambda: _Around(lambda net, images: torch.from_numpy(net(images).detach().numpy())),
        TargetLayerError,
        "cut off in between, as by detach",
    ),
    "inference": (
        lambda: _Around(torch.inference_mode()(lambda net, images: net(images))),
        TargetLayerError,
        r"runs under torch\.inference_mode\(\).*take it out of forward",
    ),
    "reentrant": (lambda: _Around(_reentrant), TargetLayerError, "say use_reentrant=False"),
    "flipped copies": (
        lambda: _Around(_copies),
        TargetLayerError,
        "rows for 2 images, as of windows, crops",
    ),
    "twice": (
        lambda: _Around(lambda net, images: net(images) + net(images.flip(-1))),
        TargetLayerError,
        "'net.3' runs several times and was passed over: its second call is 'net.3@1'",
    ),
}


def _scripted_inside() -> nn.Module:
    model = _Around(lambda net, images: net(images))
    model.net = torch.jit.script(_network())
    return model


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line_that_says_why(name: str) -> None:
    make, kind, message = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript and torch.ao say that they are deprecated
        model = make()
    with pytest.raises(kind, match=message) as caught:
        saliency_maps(model, _images(), TARGETS, target_layer="auto")
    assert "\n" not in str(caught.value)


def test_an_error_leaves_checkpoints_as_they_were() -> None:
    from torch.utils.checkpoint import CheckpointFunction

    before = CheckpointFunction.forward
    with pytest.raises(TargetLayerError):
        saliency_maps(_Around(_reentrant), _images(), TARGETS, target_layer="net.3")
    assert CheckpointFunction.forward is before
