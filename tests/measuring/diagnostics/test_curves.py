"""Deletion, insertion, MoRF and LeRF: by hand, and beside pytorch-grad-cam's."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytorch_grad_cam.metrics.perturbation_confidence import RemoveLeastRelevantFirst, RemoveMostRelevantFirst
from torch import Tensor

from case_monitor.measuring.diagnostics import diagnose
from case_monitor.measuring.diagnostics.subject import STEPS
from case_monitor.measuring.masked_passes import fill_image
from tests.measuring.diagnostics.subjects import Network, of_network, pictures, subject

PIXELS = STEPS  # one goes at a time


def counted(images: Tensor) -> Tensor:
    """Class 0's confidence is the share of the pixels that are 1."""
    share = images[:, 0].double().mean((1, 2)).clamp(1e-12, 1 - 1e-12)
    return torch.stack([share.log(), (1 - share).log()], 1)


def only(place: int) -> Tensor:
    """All confidence hangs on one pixel, by 0.9."""
    weights = torch.zeros(PIXELS)
    weights[place] = 1

    def model(images: Tensor) -> Tensor:
        p = 0.05 + 0.9 * (images.flatten(1) @ weights)
        return torch.stack([p.log(), (1 - p).log()], 1)

    return model


def line(values: Tensor) -> Tensor:
    return values.view(1, 4, 5)


ONES = torch.ones(1, 1, 4, 5)
FALLING = torch.arange(PIXELS, 0, -1.0)


def test_a_straight_line_has_half_the_area_below_it() -> None:
    found = diagnose(["deletion", "morf_lerf"], subject(counted, ONES, {"any": line(FALLING)})).values
    assert_allclose(found["any", "deletion_auc"], 0.5, atol=1e-6)
    assert_allclose(found["any", "morf_lerf"], 0, atol=1e-6)


@pytest.mark.parametrize("place", [0, 7, PIXELS - 1])
def test_the_pixel_that_matters_goes_when_its_turn_comes(place: int) -> None:
    """Gone with step `place` + 1 of 20: up to there 0.95, from there 0.05, and one trapezoid between."""
    maps = {"map": line(FALLING)}
    found = diagnose(["deletion", "morf_lerf"], subject(only(place), ONES, maps)).values
    after = 0.05 + 0.9 * (place + 0.5) / PIXELS
    backwards = 0.05 + 0.9 * (PIXELS - 1 - place + 0.5) / PIXELS
    assert_allclose(found["map", "deletion_auc"], after, atol=1e-6)
    assert_allclose(found["map", "morf_lerf"], backwards - after, atol=1e-6)


def test_insertion_starts_from_the_blurred_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("case_monitor.measuring.diagnostics.curves.fill_image", lambda x, fill: x * (fill != "blur"))
    found = diagnose(["insertion"], subject(only(2), ONES, {"map": line(FALLING)})).values
    assert_allclose(found["map", "insertion_auc"], 0.95 - 0.9 * 2.5 / PIXELS, atol=1e-6)


def test_level_pixels_go_in_any_order_and_not_row_by_row() -> None:
    """A map of one pixel says nothing of the rest: the one that matters goes at any time, the same in every batch."""
    one = torch.zeros(PIXELS)
    one[0] = 1
    images, maps = ONES.expand(400, -1, -1, -1), {"map": line(one).expand(400, -1, -1)}
    found = diagnose(["deletion"], subject(only(1), images, maps)).values["map", "deletion_auc"]
    turns = (found - 0.05) / 0.9 * PIXELS - 0.5  # 1 to 19
    assert set(turns.round().astype(int)) == set(range(1, PIXELS))
    assert abs(turns.mean() - 10) < 4 * np.sqrt((PIXELS - 1) ** 2 / 12 / 400)
    alone = diagnose(["deletion"], subject(only(1), ONES, {"map": line(one)}, seeds=np.array([7 + 123]))).values
    assert alone["map", "deletion_auc"][0] == found[123]


def _confidences(images: Tensor, model: torch.nn.Module, classes: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images).double().softmax(1)[torch.arange(len(images)), classes]


@pytest.mark.parametrize("way", ["deletion", "insertion", "lerf"])
def test_equals_pytorch_grad_cams_confidences_at_every_step(way: str) -> None:
    model, images = Network(), pictures(4)
    batch = of_network(model, images)
    maps = torch.rand(4, 20, 16, generator=torch.Generator().manual_seed(3))  # no two values alike
    batch.maps = {"map": maps}
    classes = batch.classes[:, 0]
    start = fill_image(images, "blur") if way == "insertion" else images
    end = images if way == "insertion" else torch.zeros_like(images)
    points = [_confidences(start, model, classes)]
    for step in range(1, STEPS):
        changed = []
        for i in range(4):

            def mixed(_image: Tensor, kept: Tensor, i: int = i) -> Tensor:
                return start[i] * kept + end[i] * (1 - kept)

            kind = RemoveLeastRelevantFirst if way == "lerf" else RemoveMostRelevantFirst
            changed.append(kind(100 - 100 * step / STEPS, mixed)(images[i], maps[i]))
        points.append(_confidences(torch.stack(changed), model, classes))
    curve = torch.stack([*points, _confidences(end, model, classes)])
    expected = np.trapezoid(curve.numpy(), dx=1 / STEPS, axis=0)
    if way == "lerf":
        found = diagnose(["deletion", "morf_lerf"], batch).values
        assert_allclose(found["map", "morf_lerf"] + found["map", "deletion_auc"], expected, atol=1e-6)
    else:
        assert_allclose(diagnose([way], batch).values["map", f"{way}_auc"], expected, atol=1e-6)


def test_a_map_that_points_at_nothing_has_no_number_and_breaks_no_pass() -> None:
    maps = {"zero": torch.zeros(1, 4, 5), "flat": torch.full((1, 4, 5), 2.0), "map": line(FALLING)}
    found = diagnose(["deletion", "insertion", "morf_lerf", "average_drop", "infidelity"], subject(counted, ONES, maps))
    for (method, _), values in found.values.items():
        assert np.isnan(values).all() == (method != "map")
    assert found.broken.tolist() == [0]


def test_passes_without_a_number_are_counted() -> None:
    def breaks(images: Tensor) -> Tensor:
        logits = counted(images)
        return torch.where((images[:, 0].mean((1, 2)) < 0.3).unsqueeze(1), torch.nan, logits)

    found = diagnose(["deletion"], subject(breaks, ONES, {"map": line(FALLING)}))
    assert np.isnan(found.values["map", "deletion_auc"]).all()
    assert found.broken.tolist() == [6]  # 5, 4, ... 0 pixels are left


def test_an_image_s_other_classes_have_no_part() -> None:
    def third(images: Tensor) -> Tensor:
        """A third class that shouts."""
        return torch.cat([counted(images), torch.full((len(images), 1), 50.0)], 1)

    excluded = torch.tensor([[False, False, True]])
    found = diagnose(["deletion"], subject(third, ONES, {"map": line(FALLING)}, excluded=excluded)).values
    assert_allclose(found["map", "deletion_auc"], 0.5, atol=1e-6)
