"""The diagnostics that a protocol names, on a batch."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.measuring.diagnostics.average_drop import average_drop
from case_monitor.measuring.diagnostics.curves import deletion, insertion, morf_lerf
from case_monitor.measuring.diagnostics.infidelity import infidelity
from case_monitor.measuring.diagnostics.lowest_class import lowest_class
from case_monitor.measuring.diagnostics.max_sensitivity import max_sensitivity
from case_monitor.measuring.diagnostics.mprt import emprt, mprt
from case_monitor.measuring.diagnostics.road import road
from case_monitor.measuring.diagnostics.subject import Subject
from case_monitor.measuring.fidelity import finite
from case_monitor.measuring.top_pixels import is_degenerate

FUNCTIONS: Mapping[str, Callable[[Subject], Mapping[tuple[str, str], Tensor]]] = {
    "deletion": deletion,
    "insertion": insertion,
    "morf_lerf": morf_lerf,
    "road": road,
    "average_drop": average_drop,
    "infidelity": infidelity,
    "max_sensitivity": max_sensitivity,
    "lowest_class": lowest_class,
    "mprt": mprt,
    "emprt": emprt,
}
"""Name -> function of a subject: method and score -> (B,) float64; in the catalogue's order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnosed:
    """What came of it: (method, score) -> (B,) float64, NaN where undefined; and (B,) broken passes."""

    values: Mapping[tuple[str, str], FloatArray]
    broken: IntArray

    @classmethod
    def none(cls, images: int) -> "Diagnosed":
        """Of so many images, nothing was asked."""
        return cls(values={}, broken=np.zeros(images, dtype=np.int64))


def diagnose(names: Collection[str], subject: Subject) -> Diagnosed:
    """The scores of those that ask the model; NaN of a map that points at nothing."""
    nothing = {method: is_degenerate(maps) for method, maps in subject.maps.items()}
    values = {}
    for name, measure in FUNCTIONS.items():
        for (method, score), of in (measure(subject) if name in names else {}).items():
            values[method, score] = finite(torch.where(nothing[method], torch.nan, of.to(nothing[method].device)))
    return Diagnosed(values=values, broken=subject.broken.cpu().numpy())
