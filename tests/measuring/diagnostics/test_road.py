"""ROAD: its imputation by hand, and all of it beside pytorch-grad-cam's."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytorch_grad_cam.metrics.perturbation_confidence import RemoveLeastRelevantFirst, RemoveMostRelevantFirst
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from case_monitor.measuring.diagnostics import diagnose, road
from case_monitor.measuring.diagnostics.road import FRACTIONS, impute
from tests.measuring.diagnostics.subjects import Network, of_network, pictures


def test_a_plane_is_imputed_exactly() -> None:
    """Each pixel of it is the mean of its neighbours."""
    y, x = np.mgrid[:7, :9]
    plane = np.stack([2.0 * x + y, 3.0 - x])
    removed = np.zeros((7, 9), dtype=bool)
    removed[2:5, 3:6] = True
    found = impute(np.where(removed, 99.0, plane), removed, np.zeros_like(plane))
    assert_allclose(found, plane, atol=1e-9)


def test_a_corner_by_hand() -> None:
    """Neighbours that there are not count for nothing: (1 + 2) / 6 + 4 / 12, over 5 / 12."""
    image = np.array([[[9.0, 1.0], [2.0, 4.0]]])
    found = impute(image, np.array([[True, False], [False, False]]), np.zeros_like(image))
    assert_allclose(found[0], [[(3 / 6 + 4 / 12) / (5 / 12), 1], [2, 4]])


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_imputation_equals_pytorch_grad_cams(fraction: float) -> None:
    image = pictures(1)[0]
    removed = torch.rand(20, 16, generator=torch.Generator().manual_seed(5)) < fraction
    expected = NoisyLinearImputer(noise=0)(image, (~removed).float())
    found = impute(image.double().numpy(), removed.numpy(), np.zeros(image.shape))
    assert_allclose(found, expected.numpy(), atol=1e-5)


def test_equals_pytorch_grad_cams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no two pixels are level, and without noise, which is each one's own."""
    monkeypatch.setattr(road, "NOISE", 0.0)
    model, images = Network(), pictures(3)
    batch = of_network(model, images)
    maps = torch.rand(3, 20, 16, generator=torch.Generator().manual_seed(4))
    batch.maps = {"map": maps}

    def confidences(kind: type[RemoveMostRelevantFirst], fraction: float) -> torch.Tensor:
        remove = kind(100 - 100 * fraction, NoisyLinearImputer(noise=0))
        changed = torch.stack([remove(image, of) for image, of in zip(images, maps, strict=True)])
        with torch.no_grad():
            return model(changed).double().softmax(1)[torch.arange(3), batch.classes[:, 0]]

    expected = torch.stack(
        [(confidences(RemoveLeastRelevantFirst, f) - confidences(RemoveMostRelevantFirst, f)) / 2 for f in FRACTIONS]
    ).mean(0)
    assert_allclose(diagnose(["road"], batch).values["map", "road"], expected.numpy(), atol=1e-5)


def test_noise_is_small_and_the_image_s_own() -> None:
    batch = of_network(Network(), pictures(3))
    again = of_network(Network(), pictures(3)[1:2], seeds=np.array([8]))
    first, second = (diagnose(["road"], of).values["case", "road"] for of in (batch, again))
    assert_allclose(first[1], second[0], atol=1e-7)
    other = of_network(Network(), pictures(3), seeds=np.array([70, 80, 90]))
    difference = np.abs(diagnose(["road"], other).values["case", "road"] - first)
    assert (difference < 0.05).all()
    assert (difference > 0).any()
