"""Average drop, infidelity, max-sensitivity and the lowest class: by hand, and beside torchcam's and captum's."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captums_infidelity
from captum.metrics import sensitivity_max
from numpy.testing import assert_allclose
from torch import Tensor
from torchcam.methods import GradCAM
from torchcam.metrics import ClassificationMetric

from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.diagnostics import diagnose
from case_monitor.measuring.diagnostics.infidelity import SQUARES
from case_monitor.measuring.diagnostics.infidelity import _squares as squares_of
from case_monitor.measuring.diagnostics.max_sensitivity import NEIGHBOURS, RADIUS
from case_monitor.saliency import resize_maps
from tests.measuring.diagnostics.subjects import Network, explain, of_network, pictures, subject


def test_average_drop_by_hand() -> None:
    """p(class 0) is the mean of the image: 0.8 before; weighed by 0 to 1, mean 1/2, 0.4: a drop of a half."""

    def mean(images: Tensor) -> Tensor:
        p = images.mean((1, 2, 3))
        return torch.stack([p.log(), (1 - p).log()], 1)

    image, ramp = torch.full((1, 1, 1, 5), 0.8), torch.tensor([[[3.0, 4.0, 5.0, 6.0, 7.0]]])
    found = diagnose(["average_drop"], subject(mean, image, {"map": ramp})).values
    assert_allclose(found["map", "average_drop"], 0.5, atol=1e-6)
    assert found["map", "increase_in_confidence"] == [0.0]
    raised = diagnose(["average_drop"], subject(lambda x: mean(x).flip(1), image, {"map": ramp})).values
    assert raised["map", "average_drop"] == [0.0]
    assert raised["map", "increase_in_confidence"] == [1.0]


@pytest.mark.parametrize(("seed", "rises"), [(1, 0), (2, 1)])
def test_average_drop_equals_torchcams(seed: int, rises: float) -> None:
    """Of its own maps, which are of the softmax probability."""
    model, images = Network(seed), pictures(6)
    batch = of_network(model, images)
    classes = batch.classes[:, 0].tolist()
    with GradCAM(model, "later") as extractor:
        metric = ClassificationMetric(extractor, partial(torch.softmax, dim=-1))
        metric.update(images, classes)
        maps = extractor(classes, model(images).softmax(1), normalized=False)[0].detach()
    batch.small = {"gradcam": maps}
    batch.maps = {"gradcam": resize_maps(maps.unsqueeze(1), images.shape[-2:])[:, 0]}
    found = diagnose(["average_drop"], batch).values
    assert_allclose(np.nanmean(found["gradcam", "average_drop"]), metric.summary()["avg_drop"], atol=1e-5)
    assert np.nanmean(found["gradcam", "increase_in_confidence"]) == metric.summary()["conf_increase"] == rises


def test_infidelity_is_none_where_the_drop_is_the_map() -> None:
    """p(class 0) is a sum over pixels: a map of what each adds foretells every drop, whatever its scale."""
    parts = torch.rand(8, 8, generator=torch.Generator().manual_seed(2)) / 64

    def adds(images: Tensor) -> Tensor:
        p = (images[:, 0].double() * parts).sum((1, 2)).clamp(1e-9)
        return torch.stack([p.log(), (1 - p).log()], 1)

    maps = {"right": parts[None] * 37, "wrong": parts.max() - parts[None], "zero": torch.zeros(1, 8, 8)}
    found = diagnose(["infidelity"], subject(adds, torch.ones(1, 1, 8, 8), maps)).values
    assert_allclose(found["right", "infidelity"], 0, atol=1e-12)
    assert found["wrong", "infidelity"] > 1e-6
    assert np.isnan(found["zero", "infidelity"])


def test_infidelity_equals_captums() -> None:
    model, images = Network(), pictures(3)
    batch = of_network(model, images)
    masks = torch.from_numpy(squares_of(batch))
    found = diagnose(["infidelity"], batch).values
    for i in range(3):
        turns = iter(masks[:, i])

        def perturbed(inputs: Tensor, turns: Iterator[Tensor] = turns) -> tuple[Tensor, Tensor]:
            taken = torch.stack([next(turns) for _ in range(len(inputs))]).unsqueeze(1).expand_as(inputs)
            return taken.to(inputs), torch.where(taken, 0, inputs)

        def confidence(inputs: Tensor, u: int = int(batch.classes[i, 0])) -> Tensor:
            return model(inputs).softmax(1)[:, u]

        for method, maps in batch.maps.items():
            turns = iter(masks[:, i])
            attributions = maps[i].expand(1, 3, -1, -1)
            came = captums_infidelity(
                confidence,
                partial(perturbed, turns=turns),
                images[i : i + 1],
                attributions,
                n_perturb_samples=SQUARES,
                max_examples_per_batch=SQUARES,
                normalize=True,
            )
            assert_allclose(found[method, "infidelity"][i], came.detach().numpy(), atol=1e-5)


def test_max_sensitivity_equals_captums() -> None:
    model, images = Network(), pictures(3)
    batch = of_network(model, images)
    found = diagnose(["max_sensitivity"], batch).values
    for i in range(3):
        rng = batch.random(i, 3)
        noise = torch.from_numpy(np.stack([rng.uniform(-RADIUS, RADIUS, (3, 20, 16)) for _ in range(NEIGHBOURS)]))

        def near(inputs: Tensor, _radius: float, noise: Tensor = noise) -> tuple[Tensor, ...]:
            return ((inputs + noise).float(),)

        for method in ("gradcam", "case"):

            def explained(inputs: tuple[Tensor, ...], i: int = i, method: str = method) -> tuple[Tensor, ...]:
                """A tuple: of a map alone, captum subtracts each from every other."""
                classes = batch.classes[i : i + 1, :1].expand(len(inputs[0]), -1)
                return (explain(inputs[0], classes, model)[method],)

            came = sensitivity_max(
                explained,
                images[i : i + 1],
                perturb_func=near,
                n_perturb_samples=NEIGHBOURS,
                max_examples_per_batch=NEIGHBOURS,
            )
            assert_allclose(found[method, "max_sensitivity"][i], came.detach().numpy(), rtol=1e-4)


def test_a_map_that_never_changes_is_not_sensitive() -> None:
    maps = {"map": torch.arange(1.0, 21).view(1, 4, 5)}
    found = diagnose(["max_sensitivity"], subject(Network(), pictures(1), maps)).values
    assert found["map", "max_sensitivity"] == [0.0]


def test_the_lowest_class_is_asked_about() -> None:
    model, images = Network(), pictures(5)
    batch = of_network(model, images)
    with torch.no_grad():
        lowest = model(images).argmin(1)
    expected = {
        method: agreement(batch.maps[method], resize_maps(maps, (20, 16))[:, 0])
        for method, maps in explain(images, lowest.unsqueeze(1), model).items()
    }
    found = diagnose(["lowest_class"], batch).values
    for method, values in expected.items():
        assert_allclose(found[method, "lowest_agreement"], values)
    assert np.isfinite(found["case", "lowest_agreement"]).any()


def test_maps_of_another_class_that_are_not_finite_are_counted() -> None:
    maps = {"map": torch.arange(1.0, 21).view(1, 4, 5)}
    broken = {"map": torch.full((1, 1, 4, 5), torch.nan)}
    found = diagnose(["lowest_class"], subject(Network(), pictures(1)[..., :4, :5], maps, explain=lambda *_: broken))
    assert np.isnan(found.values["map", "lowest_agreement"])
    assert found.broken.tolist() == [1]
