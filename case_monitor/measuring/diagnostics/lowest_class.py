"""The easiest question of class sensitivity: does the map differ from that of the least likely class?"""

from collections.abc import Mapping

from torch import Tensor

from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.diagnostics.subject import Subject
from case_monitor.saliency import resize_maps


def lowest_class(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Agreement of the top 5% of the two maps; NaN where one of them is degenerate."""
    size = subject.images.shape[-2:]
    found = subject.explained(subject.images, subject.lowest.unsqueeze(1))
    return {
        (method, "lowest_agreement"): agreement(subject.maps[method], resize_maps(maps, size)[:, 0]).double()
        for method, maps in found.items()
    }
