"""A split as its reader gives it, whatever the format."""

from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from case_monitor.core.records import IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSplit:
    """Images as stored, before preprocessing.

    Attributes:
        name: for people.
        images: dataset of (image, class index). An image is a PIL image, a uint8 tensor (C, H, W), or a float tensor
            (C, H, W) that is preprocessed already.
        sample_ids: stable names.
        labels: (N,) class indices in the data set's own order.
        class_names: the data set's own, or None.
        digest: SHA-256 of the images and their names; `prepare` adds targets, class names and preprocessing.
    """

    name: str
    images: Dataset[Any]
    sample_ids: tuple[str, ...]
    labels: IntArray
    class_names: tuple[str, ...] | None
    digest: str
