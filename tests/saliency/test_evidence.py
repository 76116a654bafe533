"""The maps that contrastive deletion asks of: by hand, against gradients taken by hand, and under shared shifts."""

import functools

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from case_monitor.saliency import METHODS, evidence_maps, saliency_maps
from tests.support.toys import PooledLinear, a_cnn, some_images

WEIGHT = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 4.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
IMAGES = torch.tensor([[[[1.0, 2.0], [0.0, 4.0]], [[3.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [5.0, 0.0]]]])
BY_GRADIENTS = ("gradcam", "gradcam++", "layercam", "hirescam", "case", "case_full", "case_soft", "case_subspace")


def evidence(
    model: nn.Module, images: Tensor, targets: Tensor, shown: str = "gradcam", **how: object
) -> dict[str, Tensor]:
    layer = "layer" if isinstance(model, PooledLinear) else "features"
    more = functools.partial(evidence_maps, shown=shown)
    return saliency_maps(model, images, targets, target_layer=layer, methods=(), size="layer", more=more, **how)


class Shifted(nn.Module):
    """Adds one function of the image, with a gradient at the layer, to every logit."""

    def __init__(self, model: nn.Module, size: float) -> None:
        super().__init__()
        self.features, self.rest, self.size = model.features, model, size

    def forward(self, images: Tensor) -> Tensor:
        a = self.features(images)
        logits: Tensor = self.rest.head(self.rest.pool(self.rest.relu(a)).flatten(1))
        return logits + self.size * a.square().mean((1, 2, 3)).unsqueeze(1)


def by_hand(model: nn.Module, images: Tensor, score: object) -> tuple[Tensor, Tensor]:
    """A, and the gradient of a score of the logits."""
    activations = model.features(images).detach().requires_grad_()
    logits = model.head(model.pool(model.relu(activations)).flatten(1))
    (gradient,) = torch.autograd.grad(score(logits).sum(), activations)
    return activations.detach(), gradient


def test_by_hand() -> None:
    found = evidence(PooledLinear(WEIGHT), IMAGES, torch.tensor([[0, 1]]))
    difference = (2 * IMAGES[0, 0] - IMAGES[0, 1]) / 4
    assert_allclose(found["pair"][0, 0], difference, rtol=1e-6)
    assert (difference < 0).any()
    weights = (WEIGHT - WEIGHT.mean(0)) / 4
    expected = torch.einsum("tk,khw->thw", weights[:2], IMAGES[0]).relu()
    assert_allclose(found["shown"][0], expected, rtol=1e-5, atol=1e-7)
    assert_allclose(found["place"][0], expected[:1], rtol=1e-5, atol=1e-7)


def test_against_gradients_taken_by_hand() -> None:
    model, images = a_cnn(3), some_images(3)
    targets = torch.tensor([[0, 1], [2, 4], [3, 0]])
    found = evidence(model, images, targets, "layercam")
    for i, (u, v) in enumerate(targets.tolist()):
        a, pair = by_hand(model, images[i : i + 1], lambda s, u=u, v=v: s[:, u] - s[:, v])
        expected = (pair.mean((-2, -1), keepdim=True) * a).sum(1)
        assert_allclose(found["pair"][i], expected, rtol=1e-3, atol=1e-6)
        _, centred = by_hand(model, images[i : i + 1], lambda s, u=u: s[:, u] - s.mean(1))
        assert_allclose(found["shown"][i, 0], (centred.relu() * a).sum(1).relu()[0], rtol=1e-3, atol=1e-6)
        place = (centred.mean((-2, -1), keepdim=True) * a).sum(1).relu()
        assert_allclose(found["place"][i], place, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("shown", BY_GRADIENTS)
def test_what_all_logits_share_changes_nothing(shown: str) -> None:
    plain = a_cnn(1)
    targets = torch.tensor([[0, 1], [2, 3]])
    before, after = (evidence(Shifted(plain, size), some_images(), targets, shown) for size in (0.0, 30.0))
    for name, maps in before.items():
        assert maps.abs().max() > 0
        assert_allclose(after[name], maps, atol=2e-4 * maps.abs().max().item())
    raw = [
        saliency_maps(Shifted(plain, size), some_images(), targets, target_layer="features", methods=("gradcam",))
        for size in (0.0, 30.0)
    ]
    assert (raw[0]["gradcam"] - raw[1]["gradcam"]).abs().max() > 0.1, "as they are, maps do change"


def test_the_pair_changes_its_sign_with_the_order_of_the_classes() -> None:
    model, images = a_cnn(2), some_images()
    there, back = (evidence(model, images, torch.tensor(t))["pair"] for t in ([[0, 1], [2, 3]], [[1, 0], [3, 2]]))
    assert_allclose(there, -back, atol=1e-7)


@pytest.mark.parametrize("shown", ["case", "case_full", "case_soft", "case_subspace"])
def test_contrasted_with_all_other_classes_case_is_shown_as_it_is(shown: str) -> None:
    """Centred, nothing would be left. The first image's classes are so contrasted, one of the second's is, no other."""
    model, images = a_cnn(4), some_images(3)
    targets = torch.tensor([[0, 1], [2, 0], [2, 3]])
    sets = {0: [1, 2, 3, 4], 1: [0, 2, 3, 4], 2: [3], 3: [2]}
    raw = saliency_maps(
        model, images, targets, target_layer="features", methods=(shown,), contrast_sets=sets, size="layer"
    )[shown]
    found = evidence(model, images, targets, shown, contrast_sets=sets)["shown"]
    assert torch.equal(found[:2], raw[:2])
    assert raw[:2].abs().max() > 0
    assert not torch.allclose(found[2], raw[2], rtol=1e-2)


def test_a_method_that_takes_no_gradients_is_not_drawn_again() -> None:
    assert evidence(a_cnn(0), some_images(), torch.tensor([[0, 1], [1, 2]]), "scorecam").keys() == {"pair", "place"}


def test_maps_of_methods_stay_the_same_to_the_last_bit() -> None:
    model, images, targets = a_cnn(5), some_images(), torch.tensor([[0, 1], [2, 3]])
    how = {"target_layer": "features", "methods": tuple(METHODS), "size": "layer"}
    alone = saliency_maps(model, images, targets, **how)
    beside = saliency_maps(model, images, targets, more=functools.partial(evidence_maps, shown="case"), **how)
    for method, maps in alone.items():
        assert torch.equal(beside[method], maps), method
