"""Images of any number of channels, and of windowed values, go through the whole of measuring."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from case_monitor.dataset import load_split, prepare
from case_monitor.domain.protocol import Protocol
from case_monitor.settings import NpzSplit, Preprocessing
from tests.support.whole import explain, predict


@pytest.mark.parametrize(
    ("channels", "kind", "window"), [(4, "uint8", None), (7, "float32", (-1.0, 300.0)), (2, "uint16", (0.0, 4095.0))]
)
def test_a_network_of_other_channels_is_explained(
    tmp_path: Path, channels: int, kind: str, window: tuple[float, float] | None
) -> None:
    images = np.random.default_rng(0).integers(0, 200, (12, 16, 16, channels)).astype(kind)
    np.savez(tmp_path / "val.npz", images=images, labels=np.arange(12) % 3)
    raw = load_split(NpzSplit(kind="npz", path=tmp_path / "val.npz"))
    half = (0.5,) * channels
    source = prepare(raw, ("a", "b", "c"), Preprocessing(mean=half, std=half, window=window))[1]
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    ).eval()
    preds = predict(model, source, num_classes=3, batch_size=4)
    low, high = window or (0.0, 255.0)
    shares = torch.from_numpy((images.astype(np.float64) - low) / (high - low)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        np.testing.assert_allclose(preds.logits, model((shares - 0.5) / 0.5).numpy(), atol=1e-5)
    protocol = Protocol(sample_size=12, methods=("case", "gradcam", "scorecam"), fills=("mean", "blur"))
    contrast = {u: {(u + 1) % 3: 1.0} for u in range(3)}
    scores, gallery = explain(model, "1", contrast, source, preds, protocol, batch_size=4)
    assert len(scores.sample_ids) == (preds.preds == preds.target).sum() > 0
    assert gallery.images.shape[1:] == (16, 16, 3)
