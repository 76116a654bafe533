"""A split as its reader gives it, whatever the format."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from case_monitor.dataset.scales import Scale
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSplit:
    """Images as stored, before preprocessing.

    Attributes:
        name: for people.
        images: dataset of (image, class index). An image is a PIL image, a uint8 tensor (C, H, W), `Values` whose scale
            a window says, or a float tensor (C, H, W) that is preprocessed already.
        sample_ids: stable names.
        labels: (N,) class indices in the data set's own order.
        class_names: the data set's own, or None.
        sorted_by: what these were put in their order by, where it is not themselves.
        digest: SHA-256 of the images and their names; `prepare` adds targets, class names and preprocessing.
        contents: (N,) a digest of each image alone, as stored.
        pixels: (N,) the same of what is seen of it, whatever it is stored as; empty: `contents` are of that.
        scales: (N,) what stored values of more than 8 bits are, None for 8 bits; empty: nobody has looked.
        subset: whether it is declared that the model has more classes.
        turned: how many images say that they are to be turned before they are looked at (EXIF).
        notes: what is to be said about the images.
    """

    name: str
    images: Dataset[Any]
    sample_ids: tuple[str, ...]
    labels: IntArray
    class_names: tuple[str, ...] | None
    digest: str
    contents: tuple[bytes, ...]
    sorted_by: tuple[str, ...] | None = None
    pixels: tuple[bytes, ...] = ()
    scales: tuple[Scale | None, ...] = ()
    subset: bool = False
    turned: int = 0
    notes: tuple[str, ...] = ()

    @property
    def images_digest(self) -> str:
        """SHA-256 of the images, whatever they are called and in whatever order they stand."""
        return hashlib.sha256(b"".join(sorted(self.contents))).hexdigest()

    @property
    def labels_digest(self) -> str:
        """SHA-256 of the images with the class of each: by name, where the data set has names."""
        names = self.class_names
        labels = (str(u) if names is None else names[u] for u in self.labels.tolist())
        pairs = sorted(zip(self.contents, labels, strict=True))
        return hashlib.sha256(b"".join(content + label.encode() + b"\0" for content, label in pairs)).hexdigest()


def content_digest(pixels: bytes) -> bytes:
    """Of one image alone."""
    return hashlib.blake2b(pixels, digest_size=16).digest()


def require_no_problem(split: str, problems: Iterable[tuple[str, str | None]]) -> None:
    """See that no image is to be decided about.

    Args:
        split: its name, for people.
        problems: name of each image, and what there is to decide; None: nothing.

    Raises:
        DataError: one is; says of how many others, too.
    """
    bad = [(name, problem) for name, problem in problems if problem]
    if bad:
        name, problem = bad[0]
        others = f" ({len(bad) - 1} other images of the split are no such pictures either)" if len(bad) > 1 else ""
        raise DataError(f"image {name!r} of split {split!r}: {problem}{others}")
