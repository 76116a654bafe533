"""Figures in the margin, on models whose margin is a known sum over pixels, and done again in plain NumPy."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor

from case_monitor.domain.protocol import Protocol
from case_monitor.measuring.contrastive_deletion import (
    Opposed,
    contrastive_deletion,
    opposed_by_pair,
    opposed_by_shown,
)
from case_monitor.measuring.fidelity import ShownMap, confidence_drops, maps_of_seeds
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.measured_model import At, Explanation, ToExplain
from case_monitor.measuring.top_pixels import count_on_top, top_fraction_mask
from case_monitor.saliency import METHODS
from tests.support.profiles import examples
from tests.support.toys import SmallCNN, a_cnn, some_images

UV = torch.tensor([[0, 1]])
Model = Callable[[Tensor], Tensor]


def linear(*weights: list[float]) -> Model:
    """Logits that are weighted sums of the pixels."""
    weight = torch.tensor(weights)
    return lambda images: images.flatten(1) @ weight.T


def c_of(model: Model, images: Tensor, opposed: Opposed, classes: Tensor = UV, fill: str = "mean") -> np.ndarray:
    classes = classes.expand(len(images), 2)
    return contrastive_deletion(model, images, classes, {"c": opposed}, fill=fill, batch_size=3).values["c"]


def row(*values: float) -> Tensor:
    """(1, 1, 1, W) image, or a map of it."""
    return torch.tensor([[[values]]])


def test_by_hand() -> None:
    """Of ten pixels 20% are two. m = 4 x0 + 3 x1 + 2 x2 - x8 - 5 x9, all x are 1: T_u = {0, 1}, T_v = {8, 9}.

    m without T_v is 9, m without T_u is -4.
    """
    model = linear([4.0, 3.0, 2.0, 0, 0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0, 0, 0, 1, 5])
    d = row(4, 3, 2, 0, 0, 0, 0, 0, -1, -5)[0]
    assert c_of(model, torch.ones(1, 1, 1, 10), opposed_by_pair(d)) == [13.0]


def test_as_many_pixels_are_taken_of_the_one_as_of_the_other() -> None:
    """One pixel speaks for v, so one of T_u is taken, the highest: m without T_v is 9 + 1 - 1, without T_u 4."""
    model = linear([4.0, 3.0, 2.0, 0, 0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    opposed = opposed_by_pair(row(4, 3, 2, 0, 0, 0, 0, 0, 0, -1)[0])
    assert opposed.counts.tolist() == [[2], [1]]
    assert opposed.pixels().flatten(1).nonzero().tolist() == [[0, 0], [1, 9]]
    assert c_of(model, torch.ones(1, 1, 1, 10), opposed) == [9.0 - 4.0]


def test_the_shown_maps_take_a_tenth() -> None:
    shown = torch.arange(40.0).view(1, 1, 2, 20).expand(1, 2, 2, 20)
    assert opposed_by_shown(shown).pixels().flatten(2).sum(-1).tolist() == [[4], [4]]
    assert opposed_by_pair(shown[:, 0] - 20).counts.tolist() == [[8], [8]]


def random_maps(seed: int) -> tuple[Model, Tensor, Tensor]:
    """A linear model of three classes, images, and the exact share of each pixel in the margin."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(3, 60, generator=rng)
    images = torch.randn(7, 1, 6, 10, generator=rng)
    return lambda x: x.flatten(1) @ weight.T, images, (weight[0] - weight[1]).view(6, 10) * images[:, 0]


def test_a_map_that_is_its_own_oracle_is_right_about_every_image() -> None:
    model, images, share = random_maps(0)
    assert (c_of(model, images, opposed_by_pair(share)) > 0).all()


def test_the_same_map_for_both_classes_is_a_tie_to_the_last_bit() -> None:
    model, images, share = random_maps(1)
    same = share.abs().unsqueeze(1).expand(-1, 2, -1, -1)
    assert (c_of(model, images, opposed_by_shown(same)) == 0).all()


@examples(20)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 50), of_maps=st.floats(0.1, 50))
def test_what_it_does_not_depend_on(seed: int, scale: float, of_maps: float) -> None:
    """Swapped maps, or swapped classes, change the sign; both together, a shift of all logits and scales nothing."""
    model, images, share = random_maps(seed)
    pair = share + torch.randn(share.shape, generator=torch.Generator().manual_seed(seed + 1))
    c = c_of(model, images, opposed_by_pair(pair))
    assert_allclose(c_of(model, images, opposed_by_pair(-pair)), -c, atol=1e-4)
    assert_allclose(c_of(model, images, opposed_by_pair(pair), UV.flip(1)), -c, atol=1e-4)
    assert_allclose(c_of(model, images, opposed_by_pair(-pair), UV.flip(1)), c, atol=1e-4)
    shifted = c_of(lambda x: model(x) + x.square().sum((1, 2, 3)).unsqueeze(1), images, opposed_by_pair(pair))
    assert_allclose(shifted, c, atol=1e-3)
    assert_allclose(c_of(lambda x: scale * model(x), images, opposed_by_pair(pair)), scale * c, rtol=1e-3, atol=1e-3)
    assert_allclose(c_of(model, images, opposed_by_pair(of_maps * pair)), c, atol=1e-4)


@pytest.mark.parametrize(
    ("pair", "counts"),
    [
        (row(3, 2, 0, 0, 0, 0, 0, 0, 0, 0), [2, 0]),
        (row(-3, -2, 0, 0, 0, 0, 0, 0, 0, 0), [0, 2]),
        (torch.zeros(1, 1, 1, 10), [0, 0]),
        (torch.full((1, 1, 1, 10), 2.0), [0, 0]),  # constant: it speaks for u everywhere, and so nowhere
        (torch.full((1, 1, 1, 10), torch.nan), [0, 0]),
        (row(torch.inf, -1, 0, 0, 0, 0, 0, 0, 0, 0), [0, 1]),
    ],
)
def test_a_side_without_a_pixel_has_no_c_and_is_no_broken_pass(pair: Tensor, counts: list[int]) -> None:
    opposed = opposed_by_pair(pair[0])
    assert opposed.counts.flatten().tolist() == counts
    assert not opposed.pixels().any()
    found = contrastive_deletion(
        linear([1.0] * 10, [0.0] * 10), torch.ones(1, 1, 1, 10), UV, {"c": opposed}, fill="mean", batch_size=1
    )
    assert np.isnan(found.values["c"]).all()
    assert found.broken.tolist() == [0]


@pytest.mark.parametrize("worth", [torch.nan, torch.inf, -torch.inf])
def test_a_model_that_gives_no_number_without_some_pixel_is_broken(worth: float) -> None:
    def breaks(images: Tensor) -> Tensor:
        value = torch.where(images[:, 0, 0, 9] == 0, worth, 1.0)
        return torch.stack([images.sum((1, 2, 3)), value], 1)

    pair = torch.cat([row(3, 2, 0, 0, 0, 0, 0, 0, 0, -1)[0], row(3, 2, 0, 0, 0, 0, 0, 0, -1, 0)[0]])
    sides = {"c": opposed_by_pair(pair), "again": opposed_by_pair(pair)}
    found = contrastive_deletion(breaks, torch.ones(2, 1, 1, 10), UV.expand(2, 2), sides, fill="mean", batch_size=9)
    for c in found.values.values():
        assert np.isnan(c).tolist() == [True, False]
    assert found.broken.tolist() == [2, 0]


def test_how_many_are_on_top_is_what_is_taken() -> None:
    maps = torch.randn(40, 5, 8, generator=torch.Generator().manual_seed(0)) - torch.linspace(-2, 3, 40).view(-1, 1, 1)
    maps[0], maps[1], maps[2, 0, 0] = 0.0, 1.0, torch.nan
    for fraction in (0.05, 0.2, 1.0):
        assert count_on_top(maps, fraction).tolist() == top_fraction_mask(maps, fraction).sum((-2, -1)).tolist()


# The whole of it again, from a model to c, without anything of the product.


def enlarged(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) -> (H, W), bilinear with half-pixel centres."""
    weights = []
    for length, to in zip(small.shape, size, strict=True):
        places = ((np.arange(to) + 0.5) * length / to - 0.5).clip(0, length - 1)
        low = np.minimum(np.floor(places).astype(int), length - 1)
        high = np.minimum(low + 1, length - 1)
        of = np.zeros((to, length))
        of[np.arange(to), low] += 1 - (places - low)
        of[np.arange(to), high] += places - low
        weights.append(of)
    return weights[0] @ small @ weights[1].T


def highest(values: np.ndarray, fraction: float, most: int | None = None) -> list[int]:
    flat = values.ravel()
    order = [i for i in np.argsort(-flat, kind="stable").tolist() if flat[i] > 0]
    return order[: min(int(fraction * flat.size + 1e-9), len(order) if most is None else most)]


def c_by_hand(model: SmallCNN, image: Tensor, first: np.ndarray, second: np.ndarray, u: int, v: int, q: float) -> float:
    fewer = min(len(highest(first, q)), len(highest(second, q)))
    margins = []
    for of in (second, first):
        without = image.clone()
        without.flatten(2)[:, :, highest(of, q, fewer)] = 0
        logits = model(without)[0]
        margins.append((logits[u] - logits[v]).item())
    return margins[0] - margins[1]


def maps_by_hand(model: SmallCNN, image: Tensor, u: int, v: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pair map, and centred Grad-CAM of both classes, at the size of the image."""
    activations = model.features(image).detach().requires_grad_()
    logits = model.head(model.pool(model.relu(activations)).flatten(1))[0]
    found = []
    for score in (logits[u] - logits[v], logits[u] - logits.mean(), logits[v] - logits.mean()):
        (gradient,) = torch.autograd.grad(score, activations, retain_graph=True)
        small = (gradient.mean((-2, -1), keepdim=True) * activations).sum(1)[0].detach().double().numpy()
        found.append(small)
    pair, *shown = found
    size = (image.shape[-2], image.shape[-1])
    return enlarged(pair, size), *(enlarged(small.clip(0), size) for small in shown)


def explained(model: SmallCNN, images: Tensor, shown: str, **protocol: object) -> tuple[ToExplain, Explanation]:
    logits = model(images).detach()
    batch = ToExplain(
        images=images, classes=logits.topk(2).indices, logits=logits, seeds=np.arange(len(images), dtype=np.int64)
    )
    methods = tuple({"gradcam": 0, shown: 0})
    held = HeldModel(model=model, protocol=Protocol(methods=methods, areas=(0.3, 0.05), **protocol), device="cpu")
    at = At(layer="features", contrast=None, batch_size=4, shown=shown)
    [found] = held.explain(images[:1], iter([batch]), at, lambda *_: None)
    return batch, found


def test_from_the_model_to_c_in_plain_numpy() -> None:
    model, images = a_cnn(6), some_images(12, seed=9)
    batch, found = explained(model, images, "gradcam")
    pair_c, shown_c = found.drops.margins["", "pair_margin"], found.drops.margins["gradcam", "shown_margin"]
    compared = 0
    for i, (u, v) in enumerate(batch.classes.tolist()):
        pair, first, second = maps_by_hand(model, images[i : i + 1], u, v)
        for c, sides, q in ((pair_c[i], (pair, -pair), 0.2), (shown_c[i], (first, second), 0.1)):
            if min(len(highest(of, q)) for of in sides):
                compared += 1
                assert c == pytest.approx(c_by_hand(model, images[i : i + 1], *sides, u, v, q), abs=1e-5)
            else:
                assert np.isnan(c)
    assert compared >= 20
    assert found.drops.broken.tolist() == [0] * 12


@pytest.mark.parametrize("method", ["gradcam", "scorecam"])
def test_the_margin_of_fidelity_is_of_what_people_are_shown(method: str) -> None:
    """f = m(x without R) - m(x without T_u), R random and as large, of 5% of the pixels; T_u of centred logits."""
    model, images = a_cnn(6), some_images(12, seed=9)
    batch, found = explained(model, images, method)
    assert {m for m, metric in found.drops.margins if metric == "fidelity_margin"} == {method}
    layer_size = found.maps["gradcam"].shape[-2:]
    control = maps_of_seeds(batch.seeds, layer_size, images.shape[-2:], 0)[:, 0]
    defined, others = 0, 0
    for i, (u, v) in enumerate(batch.classes.tolist()):
        _, top, _ = maps_by_hand(model, images[i : i + 1], u, v)
        if method == "scorecam":
            top = centred_scorecam_by_hand(model, images[i : i + 1], u)
        f = found.drops.margins[method, "fidelity_margin"][i]
        if not len(highest(top, 0.05)):
            assert np.isnan(f)
            continue
        fewer = len(highest(top, 0.05))
        margins = [
            margin_without(model, images[i : i + 1], of, u, v)
            for of in (highest(control[i].double().numpy(), 0.05, fewer), highest(top, 0.05))
        ]
        assert f == pytest.approx(margins[0] - margins[1], abs=1e-5)
        defined += 1
        raw = enlarged(found.maps[method][i, 0].double().numpy(), (12, 16))
        others += set(highest(raw, 0.05)) != set(highest(top, 0.05))
    assert defined > 8
    assert others, "the map of the logits as they are marks other pixels"


def centred_scorecam_by_hand(model: SmallCNN, image: Tensor, u: int) -> np.ndarray:
    with torch.no_grad():
        activations = model.features(image)[0]
        large = torch.nn.functional.interpolate(
            activations[:, None], image.shape[-2:], mode="bilinear", align_corners=True
        )
        scores = []
        for mask in large:
            logits = model(image * (mask - mask.min()) / (mask.max() - mask.min() + 1e-8))[0]
            scores.append((logits[u] - logits.mean()).item())
        weights = np.exp(scores) / np.exp(scores).sum()
    small = np.tensordot(weights, activations.double().numpy(), 1).clip(0)
    return enlarged(small, (image.shape[-2], image.shape[-1]))


def margin_without(model: SmallCNN, image: Tensor, pixels: np.ndarray, u: int, v: int) -> float:
    without = image.clone()
    without.flatten(2)[:, :, pixels] = 0
    logits = model(without)[0]
    return (logits[u] - logits[v]).item()


@pytest.mark.parametrize("method", METHODS)
def test_one_vector_added_to_all_rows_of_the_head_changes_no_figure(method: str) -> None:
    """No probability is another, so nothing that is judged may be."""
    model, images = a_cnn(6), some_images(12, seed=9)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.head.weight += 3 * torch.randn(twin.head.weight.shape[1], generator=torch.Generator().manual_seed(0))
    assert_allclose(model(images).softmax(1).detach(), twin(images).softmax(1).detach(), atol=1e-5)
    (_, one), (_, other) = (explained(of, images, method) for of in (model, twin))
    shift_free = {"gradcam_log", "finercam", "reciprocam"}  # these are maps that no such vector changes
    same = torch.allclose(one.maps[method], other.maps[method], rtol=1e-2)
    assert method.startswith("case") or same is (method in shift_free)
    assert_allclose(one.evidence.shown, other.evidence.shown, rtol=1e-3, atol=1e-3 * one.evidence.shown.max().item())
    for key, margins in one.drops.margins.items():
        assert_allclose(margins, other.drops.margins[key], atol=1e-4, err_msg=str(key))
    assert len(one.drops.margins) == 3


def test_a_map_that_is_its_own_oracle_and_one_that_points_elsewhere() -> None:
    """The margin is the sum of the first ten of 200 pixels: 10 without random ones, 0 without the right ones."""
    weight = torch.zeros(200)
    weight[:10] = 1
    model, images = linear(weight.tolist(), [0.0] * 200), torch.ones(1, 1, 10, 20)
    pointing = torch.arange(200.0, 0, -1).view(1, 10, 20)
    for map_, expected in ((pointing, 10.0), (pointing.flip(1, 2), 0.0)):
        found = confidence_drops(
            model,
            images,
            UV,
            {"case": torch.rand(1, 10, 20)},
            pointing.flip(1, 2),
            ShownMap(method="case", maps=map_),
            areas=(0.5, 0.05),
            fills=("mean", "blur"),
            batch_size=2,
        )
        assert found.margins["case", "fidelity_margin"] == [expected]
        assert found.broken.tolist() == [0]


def test_without_the_five_per_cent_there_is_no_margin_of_fidelity() -> None:
    model, images = a_cnn(6), some_images(2)
    held = HeldModel(model=model, protocol=Protocol(methods=("gradcam",), areas=(0.3,)), device="cpu")
    logits = model(images).detach()
    batch = ToExplain(images=images, classes=logits.topk(2).indices, logits=logits, seeds=np.arange(2))
    at = At(layer="features", contrast=None, batch_size=4)
    [found] = held.explain(images[:1], iter([batch]), at, lambda *_: None)
    assert found.drops.margins.keys() == {("", "pair_margin"), ("gradcam", "shown_margin")}


def test_pixels_are_filled_as_the_protocol_says_first() -> None:
    model, images = a_cnn(6), some_images(6, seed=9)
    by_fill = [
        explained(model, images, "gradcam", fills=fills)[1].drops.margins["", "pair_margin"]
        for fills in (("blur",), ("blur", "mean"), ("mean", "blur"), ("mean",))
    ]
    assert_allclose(by_fill[0], by_fill[1], atol=1e-6)
    assert_allclose(by_fill[2], by_fill[3], atol=1e-6)
    assert not np.allclose(by_fill[0], by_fill[3], atol=1e-3, equal_nan=True)
