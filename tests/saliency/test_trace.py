"""Gradients against float64 finite differences."""

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency import inspecting, tap_layer
from case_monitor.saliency.contrast_weights import ContrastWeights
from case_monitor.saliency.trace import Trace, record
from tests.support.toys import a_cnn, some_images


class Smooth(nn.Module):
    """A head without kinks, so that finite differences are exact to rounding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(2, 3, 2), nn.Linear(3 * 3 * 2, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.tanh(self.conv(images)).flatten(1))
        return logits


def a_trace(model: nn.Module, images: Tensor, targets: Tensor, layer: str, sets: dict[int, list[int]]) -> Trace:
    with inspecting(model):
        return record(
            tap_layer(model, layer), images, targets, lambda logits: ContrastWeights.build(logits, targets, sets, 3)
        )


@torch.no_grad()
def finite_differences(trace: Trace, weights: Tensor) -> Tensor:
    """Gradient of sum_c weights[b, t, c] logit[b, c] with respect to A, one entry after the other."""
    step, grads = 1e-5, torch.zeros(*weights.shape[:2], *trace.activations.shape[1:], dtype=torch.float64)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in trace.activations.shape[1:])).tolist():
        delta = torch.zeros_like(trace.activations)
        delta[(slice(None), *index)] = step
        up, down = (trace.tap(trace.images, lambda a, d=sign * delta: a + d) for sign in (1, -1))
        grads[(slice(None), slice(None), *index)] = torch.einsum("btc,bc->bt", weights, (up - down) / (2 * step))
    return grads


def test_gradients_equal_finite_differences_in_float64() -> None:
    model, images = Smooth().double(), torch.randn(2, 2, 4, 3, dtype=torch.float64)
    targets = torch.tensor([[0, 3], [1, 2]])
    trace = a_trace(model, images, targets, "conv", {0: [1, 2], 3: [0], 1: [], 2: [0, 1, 3]})
    one_hot = torch.nn.functional.one_hot(targets, 4).double()
    mean = torch.tensor([[[0, 1, 1, 0], [2, 0, 0, 0]], [[0, 0, 0, 0], [2 / 3, 2 / 3, 0, 2 / 3]]]).double() / 2
    torch.testing.assert_close(trace.target_gradients, finite_differences(trace, one_hot), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(trace.contrast_gradients, finite_differences(trace, mean), rtol=1e-6, atol=1e-9)
    assert trace.target_gradients.abs().min() > 0


def test_member_gradients_average_to_the_contrast_gradient() -> None:
    model, images = Smooth().double(), torch.randn(1, 2, 4, 3, dtype=torch.float64)
    trace = a_trace(model, images, torch.tensor([[0, 1]]), "conv", {0: [1, 2], 1: [3]})
    members = trace.pooled_member_gradients()
    assert members.shape == (1, 2, 2, 3)
    sizes = torch.tensor([2.0, 1.0], dtype=torch.float64).view(1, 2, 1)
    torch.testing.assert_close(members.sum(2) / sizes, trace.contrast_gradients.mean((-2, -1)))


def test_an_in_place_relu_behind_the_layer_leaves_the_activations_as_they_were() -> None:
    images, targets = some_images(), torch.tensor([[0], [1]])
    sets: dict[int, list[int]] = {}
    inplace = a_trace(a_cnn(3, inplace=True), images, targets, "features", sets)
    apart = a_trace(a_cnn(3, inplace=False), images, targets, "features", sets)
    assert (apart.activations < 0).any()
    assert torch.equal(inplace.activations, apart.activations)
    assert torch.equal(inplace.target_gradients, apart.target_gradients)
    assert torch.equal(inplace.logits, apart.logits)


class Loops(torch.autograd.Function):
    """Doubles; its backward cannot be batched."""

    generate_vmap_rule = False

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return 2 * torch.from_numpy(grad.numpy())


class Unbatchable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Identity(), nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(Loops.apply(self.layer(images)).mean((-2, -1)))
        return logits


def test_a_head_whose_backward_cannot_be_batched_is_differentiated_one_by_one() -> None:
    model, images = Unbatchable(), torch.rand(2, 3, 2, 2)
    trace = a_trace(model, images, torch.tensor([[0, 3], [1, 2]]), "layer", {})
    expected = 2 * model.head.weight[trace.targets] / 4
    torch.testing.assert_close(trace.target_gradients, expected[..., None, None].expand(2, 2, 3, 2, 2))


class DeadBranch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        self.unused(images)
        pooled: Tensor = self.used(images).mean((-2, -1))
        return pooled


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_layer_that_the_logits_do_not_depend_on_is_an_error(requires_grad: bool) -> None:
    from case_monitor.saliency import saliency_maps

    images = some_images().requires_grad_(requires_grad)
    with pytest.raises(TargetLayerError, match=r"'unused'.*a branch that is not used"):
        saliency_maps(DeadBranch(), images, torch.tensor([[0], [1]]), target_layer="unused")
