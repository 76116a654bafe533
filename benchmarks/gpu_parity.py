"""Whether a GPU finds what a CPU finds: maps and scores of every method, on small networks of different kinds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.gpu_measure import PRECISIONS, precision, told
from benchmarks.gpu_networks import Effort, Row, build, noise
from benchmarks.gpu_product import InMemory, Product, best_sample
from benchmarks.gpu_report import Section
from benchmarks.models import Architecture
from case_monitor.domain.arrays import IntArray
from case_monitor.measuring.explain import ExplainedPart
from case_monitor.saliency import METHODS

ABOUT = (
    "The product's jobs Predict and Explain on both devices, with the CPU's two classes. map: largest difference of a "
    "map at the layer's size, of the map's largest value. norm: norm of the difference, of the map's norm. agreement, "
    "drop: largest difference of a score. Each is the largest over images and classes. Allowed: from the CPU's "
    "float32 it may differ by this much; what is not named is only shown. told: what the product logged on the device "
    "as left for a slower way."
)
TOLERANCES: Mapping[str, Mapping[str, float]] = {
    "TF32 off": {"map": 1e-3, "norm": 5e-4, "agreement": 0.02, "drop": 5e-3},
    "torch's default": {"norm": 0.1, "agreement": 0.1, "drop": 5e-2},
    "TF32 on": {"norm": 0.1, "agreement": 0.1, "drop": 5e-2},
}
"""In float32 only the order of sums differs; TF32 has ten bits of mantissa, and where terms cancel, as in HiResCAM's
sums, less of them is left. A score hangs on which of two nearly equal pixels comes first, even in float32."""
_KINDS = ("map", "norm", "agreement", "drop")
_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one device says: top classes, and the explained images."""

    top1: IntArray
    part: ExplainedPart


def parity(section: Section, effort: Effort, device: str) -> None:
    section.note(tolerances=TOLERANCES, images=effort.parity_images)
    for name, architecture in effort.small_networks.items():
        with section.attempt(name):
            model = build(architecture, "cpu")
            expected = _answer(architecture, model, "cpu", effort.parity_images, None)
            model.to(device)
            for mode in PRECISIONS:
                with precision(mode), told() as left:
                    came = _answer(architecture, model, device, effort.parity_images, expected.top1)
                section.note(told=section.found.get("told", {}) | {f"{name}, {mode}": left})
                for row in _rows(expected.part, came.part, mode):
                    section.add({"network": name, **row})
                    _complain(section, name, row)


def _answer(architecture: Architecture, model: nn.Module, device: str, count: int, top1: IntArray | None) -> _Answer:
    with torch.no_grad():
        num_classes = model(noise(architecture, 1).to(device)).shape[1]
    product = Product(model, architecture.layer, InMemory(noise(architecture, count)), device, num_classes)
    preds = product.predictions(count, _BATCH)
    top1 = preds.target if top1 is None else top1
    (part,) = product.explain(best_sample(preds, top1), tuple(METHODS), _BATCH)
    return _Answer(top1=top1, part=part)


def _rows(expected: ExplainedPart, came: ExplainedPart, mode: str) -> Iterator[Row]:
    """A row for each method."""
    for method in METHODS:
        found = _map_differences(expected, came, method)
        for kind, metrics in (("agreement", ("agreement",)), ("drop", ("confidence_drop_50", "confidence_drop_5"))):
            pairs = [(expected.values[method, metric], came.values[method, metric]) for metric in metrics]
            found[kind] = max(_difference(a, b) for a, b in pairs)
        allowed = TOLERANCES[mode]
        within = all(found[kind] <= limit for kind, limit in allowed.items())
        yield {"precision": mode, "method": method, **found, "allowed": allowed, "within": within}


def _map_differences(expected: ExplainedPart, came: ExplainedPart, method: str) -> dict[str, float]:
    """Infinite where images are missing."""
    if expected.shown.keys() != came.shown.keys():
        return {"map": float("inf"), "norm": float("inf")}
    pairs = [
        pair
        for place, image in expected.shown.items()
        for pair in zip(image.maps[method], came.shown[place].maps[method], strict=True)
    ]
    return {
        "map": max(_relative((a - b).abs().max().item(), a.abs().max().item()) for a, b in pairs),
        "norm": max(_relative((a - b).norm().item(), a.norm().item()) for a, b in pairs),
    }


def _relative(difference: float, size: float) -> float:
    """A map that is empty must stay empty."""
    return difference / size if size else float("inf") if difference else 0.0


def _difference(expected: np.ndarray, came: np.ndarray) -> float:
    """Infinite where one has a score and the other has none."""
    if (np.isnan(expected) != np.isnan(came)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(expected - came)).max())


def _complain(section: Section, name: str, row: Row) -> None:
    if not row["within"]:
        found = {key: f"{row[key]:.2g}" for key in _KINDS}
        section.failed(f"{name}, {row['method']}, {row['precision']}", f"beyond the tolerance: {found}")
