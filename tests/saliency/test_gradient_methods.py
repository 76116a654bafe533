"""CASE and its variants on models whose gradients are known, and the limits in which they meet other methods."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor, nn

from case_monitor.saliency import saliency_maps
from tests.support.profiles import examples
from tests.support.toys import PooledLinear, a_cnn, some_activations, some_images


def one_map(
    model: nn.Module, images: Tensor, u: int, contrast: object, method: str = "case", **kwargs: object
) -> Tensor:
    """(h, w) map of the first image for class u, whose contrast set is `contrast`."""
    sets = None if contrast is None else {u: contrast}
    targets = torch.full((len(images), 1), u)
    layer = "layer" if isinstance(model, PooledLinear) else "features"
    maps = saliency_maps(
        model, images, targets, target_layer=layer, methods=(method,), contrast_sets=sets, size="layer", **kwargs
    )
    return maps[method][0, 0]


def expected_map(weights: Tensor, activations: Tensor) -> Tensor:
    size = activations.shape[-2] * activations.shape[-1]
    return (weights[:, None, None] * activations[0] / size).sum(0).clamp(min=0)


def projected_out(g: Tensor, directions: Tensor) -> Tensor:
    """The residual of a least-squares fit of g by `directions` (rows): an independent way to project."""
    fit = np.linalg.lstsq(directions.double().numpy().T, g.double().numpy(), rcond=1e-6)[0]
    return torch.from_numpy(g.double().numpy() - directions.double().numpy().T @ fit).float()


@pytest.mark.parametrize(
    ("contrast", "weights"),
    [
        ([1], (0.0, 1.0)),  # g = (3, 1) loses its part along (1, 0)
        ([2], (3.0, 0.0)),
        ([1, 2], (1.0, -1.0)),  # mean (1/2, 1/2): (3, 1) - 4 (1/2, 1/2)
        ([3], (3.0, 1.0)),  # orthogonal already
        ([4], (3.0, 1.0)),  # a class without gradient
    ],
)
def test_case_by_hand(contrast: list[int], weights: tuple[float, float]) -> None:
    model = PooledLinear(torch.tensor([[3.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, -3.0], [0.0, 0.0]]))
    images = torch.tensor([[[[1.0, 2.0], [0.0, 4.0]], [[3.0, 0.0], [1.0, 1.0]]]])
    expected = expected_map(torch.tensor(weights), images)
    assert expected.max() > 0
    assert_allclose(one_map(model, images, 0, contrast), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["case", "case_full", "case_soft", "case_subspace"])
def test_with_an_empty_contrast_set_every_variant_is_grad_cam(method: str) -> None:
    model, images = a_cnn(1), some_images()
    gradcam = one_map(model, images, 2, [], "gradcam")
    assert gradcam.max() > 0
    assert_allclose(one_map(model, images, 2, [], method), gradcam, rtol=1e-5)
    assert not np.allclose(one_map(model, images, 2, [0, 1], method), gradcam, rtol=1e-2)


@examples(30)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 4), multiple=st.floats(-3, 3))
def test_what_the_contrast_set_shares_does_not_count(seed: int, k: int, multiple: float) -> None:
    torch.manual_seed(seed)
    weight, images = torch.randn(6, 8), some_activations(1, 8, seed)
    shared = weight.clone()
    shared[0] += multiple * weight[1 : k + 1].mean(0)
    contrast = list(range(1, k + 1))
    before, after = (one_map(PooledLinear(w), images, 0, contrast) for w in (weight, shared))
    assert_allclose(after, before, atol=2e-6)
    exact = projected_out(weight[0], weight[1 : k + 1].mean(0, keepdim=True))
    assert_allclose(before, expected_map(exact, images), atol=2e-6)


@examples(30)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 5))
def test_case_weights_are_orthogonal_to_the_mean_contrast_gradient(seed: int, k: int) -> None:
    """With one-hot activations, place p of the map is relu(w_p) / (h w), and that of -g is relu(-w_p): w is seen."""
    torch.manual_seed(seed)
    weight = torch.randn(6, 12)
    images = torch.eye(12).view(1, 12, 3, 4)
    positive = one_map(PooledLinear(weight), images, 0, list(range(1, k + 1)))
    negative = one_map(PooledLinear(-weight), images, 0, list(range(1, k + 1)))
    w = (positive - negative).flatten() * 12
    mean = weight[1 : k + 1].mean(0)
    assert w.norm() > 0.1
    assert abs(w @ mean) <= 1e-5 * w.norm() * mean.norm()


@pytest.mark.parametrize("multiple", [-30.0, -1.0, 0.5, 2.0, 20.0, 300.0])
def test_a_target_collinear_with_its_contrast_has_an_exactly_empty_map(multiple: float) -> None:
    direction = torch.tensor([0.3, -0.7, 0.11])
    model = PooledLinear(torch.stack([multiple * direction, direction]))
    assert (one_map(model, some_activations(1, 3), 0, [1]) == 0).all()


@pytest.mark.parametrize("num_classes", [4, 40, 300])
def test_all_other_classes_of_a_centred_head_leave_an_exactly_empty_map(num_classes: int) -> None:
    """Rows that sum to zero, as training from zero leaves them: the mean of all others is -g_u / (C - 1)."""
    torch.manual_seed(0)
    weight = torch.randn(num_classes, 16)
    weight -= weight.mean(0)
    others = [c for c in range(num_classes) if c != 2]
    assert (one_map(PooledLinear(weight), some_activations(1, 16), 2, others) == 0).all()


def test_a_small_but_real_difference_from_the_contrast_is_not_taken_for_noise() -> None:
    weight = torch.tensor([[1.0, 1e-3], [1.0, 0.0]])
    images = some_activations(1, 2)
    assert_allclose(
        one_map(PooledLinear(weight), images, 0, [1]), expected_map(torch.tensor([0.0, 1e-3]), images), rtol=1e-2
    )


def test_contrast_members_count_as_a_set_whatever_their_order_or_weights() -> None:
    model, images = a_cnn(1), some_images()
    first = one_map(model, images, 0, [1, 3, 4])
    assert_allclose(one_map(model, images, 0, [4, 1, 3]), first, rtol=1e-5, atol=1e-8)
    assert_allclose(one_map(model, images, 0, {1: 9.0, 3: 0.1, 4: 1e-300}), first, rtol=1e-5, atol=1e-8)


def test_a_member_that_the_model_rules_out_completely_is_still_a_member() -> None:
    model, images = a_cnn(1), some_images()
    plain = one_map(model, images, 0, [1, 3])
    assert not np.allclose(plain, one_map(model, images, 0, [1]), rtol=1e-2)
    assert_allclose(one_map(model, images, 0, {1: 0.5, 3: 0.0}), plain, rtol=1e-5, atol=1e-8)
    assert_allclose(one_map(model, images, 0, {1: 0.0, 3: 0.0}, "case_soft"), plain, rtol=1e-5, atol=1e-8)


def test_a_class_without_contrast_set_is_contrasted_with_its_highest_other_logits() -> None:
    model, images = a_cnn(1), some_images(4)
    targets = torch.tensor([[3, 1]] * 4)
    sets = {1: [2]}
    maps = saliency_maps(
        model, images, targets, target_layer="features", contrast_sets=sets, contrast_k=2, size="layer"
    )["case"]
    for i, logits in enumerate(model(images)):
        others = [c for c in logits.argsort(descending=True).tolist() if c != 3][:2]
        assert_allclose(maps[i, 0], one_map(model, images[i : i + 1], 3, others), rtol=1e-4, atol=1e-7)
        assert_allclose(maps[i, 1], one_map(model, images[i : i + 1], 1, [2]), rtol=1e-4, atol=1e-7)


def test_more_contrast_classes_than_there_are_means_all_others() -> None:
    model, images = a_cnn(1), some_images()
    assert_allclose(
        one_map(model, images, 0, None, contrast_k=99), one_map(model, images, 0, [1, 2, 3, 4]), rtol=1e-5, atol=1e-8
    )


def test_projecting_before_pooling_agrees_for_a_pooled_linear_head_and_differs_otherwise() -> None:
    torch.manual_seed(4)
    pooled, images = PooledLinear(torch.randn(4, 6)), some_activations(1, 6)
    case = one_map(pooled, images, 0, [1, 2])
    assert case.max() > 0
    assert_allclose(one_map(pooled, images, 0, [1, 2], "case_full"), case, rtol=1e-4, atol=1e-7)
    model, images = a_cnn(1), some_images()
    assert not np.allclose(one_map(model, images, 0, [1, 2], "case_full"), one_map(model, images, 0, [1, 2]), rtol=1e-2)


def test_case_full_by_its_formula() -> None:
    model, images = a_cnn(1), some_images(1)
    activations = model.features(images).detach().requires_grad_()
    logits = model.head(model.pool(model.relu(activations)).flatten(1))[0]
    gamma, one, two = (torch.autograd.grad(logits[c], activations, retain_graph=True)[0].flatten() for c in (0, 1, 2))
    residual = projected_out(gamma, ((one + two) / 2)[None]).view_as(activations)
    weights = residual.mean((-2, -1))[0]
    expected = (weights[:, None, None] * activations[0].detach()).sum(0).clamp(min=0)
    assert expected.max() > 0
    assert_allclose(one_map(model, images, 0, [1, 2], "case_full"), expected, rtol=1e-3, atol=1e-6)


def test_case_soft_weights_the_contrast_by_confusion() -> None:
    torch.manual_seed(5)
    weight, images = torch.randn(4, 6), some_activations(1, 6)
    mean = (3 * weight[1] + 1 * weight[2]) / 4
    expected = expected_map(projected_out(weight[0], mean[None]), images)
    assert expected.max() > 0
    assert_allclose(one_map(PooledLinear(weight), images, 0, {1: 3.0, 2: 1.0}, "case_soft"), expected, atol=1e-6)
    assert not np.allclose(one_map(PooledLinear(weight), images, 0, {1: 3.0, 2: 1.0}), expected, atol=1e-3)


def dependent_heads() -> dict[str, Tensor]:
    torch.manual_seed(6)
    a, b, c = torch.randn(3, 12)
    zero = torch.zeros(12)
    return {
        "independent": torch.stack([a, b, c]),
        "a twin before an independent one": torch.stack([a, a, b]),
        "a twin at the end": torch.stack([a, b, a]),
        "one in the span of two": torch.stack([a, b, 2 * a - b]),
        "a dead class first": torch.stack([zero, a, b]),
        "all the same": torch.stack([a, a, a]),
        "all dead": torch.stack([zero, zero, zero]),
    }


@pytest.mark.parametrize("name", dependent_heads())
def test_the_subspace_variant_is_orthogonal_to_every_member(name: str) -> None:
    members = dependent_heads()[name]
    g = torch.randn(12, generator=torch.Generator().manual_seed(9))
    images = torch.eye(12).view(1, 12, 3, 4)
    weight = torch.cat([g[None], members])
    positive = one_map(PooledLinear(weight), images, 0, [1, 2, 3], "case_subspace")
    negative = one_map(PooledLinear(-weight), images, 0, [1, 2, 3], "case_subspace")
    w = (positive - negative).flatten() * 12
    assert w.norm() > 0.1
    assert_allclose(members @ w, torch.zeros(3), atol=1e-5)
    assert_allclose(w, projected_out(g, members), atol=1e-5)


def test_a_target_in_the_span_of_its_contrast_has_an_exactly_empty_subspace_map() -> None:
    torch.manual_seed(7)
    members = torch.randn(3, 8)
    weight = torch.cat([(0.3 * members[0] - 2 * members[1] + members[2])[None], members])
    assert (one_map(PooledLinear(weight), some_activations(1, 8), 0, [1, 2, 3], "case_subspace") == 0).all()


def test_contrast_sets_of_different_size_in_one_batch_do_not_disturb_each_other() -> None:
    model, images = a_cnn(1), some_images(3)
    sets = {0: [1, 2, 3], 1: [], 2: [4]}
    targets = torch.tensor([[0, 1], [1, 2], [2, 0]])
    for method in ("case", "case_full", "case_soft", "case_subspace"):
        maps = saliency_maps(
            model, images, targets, target_layer="features", methods=(method,), contrast_sets=sets, size="layer"
        )[method]
        for i, classes in enumerate(targets.tolist()):
            for t, u in enumerate(classes):
                alone = one_map(model, images[i : i + 1], u, sets[u], method)
                assert_allclose(maps[i, t], alone, rtol=1e-4, atol=1e-6)
