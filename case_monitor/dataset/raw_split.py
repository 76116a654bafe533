"""A split as its reader gives it, whatever the format."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import Dataset, Subset

from case_monitor.dataset.objects import Objects
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
        also: (N, ...) the other classes of images that are of several; empty: each image is of one.
        class_names: the data set's own, or None.
        columns: of how many classes labels tell, where that is known without names.
        sorted_by: what these were put in their order by, where it is not themselves.
        digest: SHA-256 of the images and their names; `prepare` adds targets, class names and preprocessing.
        contents: (N,) a digest of each image alone, as stored.
        pixels: (N,) the same of what is seen of it, whatever it is stored as; empty: `contents` are of that.
        scales: (N,) what stored values of more than 8 bits are, None for 8 bits; empty: nobody has looked.
        subset: whether it is declared that the model has more classes.
        turned: how many images say that they are to be turned before they are looked at (EXIF).
        objects: what is marked in them; None: nobody has marked anything.
        notes: what is to be said about the images.
    """

    name: str
    images: Dataset[Any]
    sample_ids: tuple[str, ...]
    labels: IntArray
    class_names: tuple[str, ...] | None
    digest: str
    contents: tuple[bytes, ...]
    also: tuple[tuple[int, ...], ...] = ()
    columns: int | None = None
    sorted_by: tuple[str, ...] | None = None
    pixels: tuple[bytes, ...] = ()
    scales: tuple[Scale | None, ...] = ()
    subset: bool = False
    turned: int = 0
    objects: Objects | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """By its names; without any, by its columns or its highest label."""
        if self.class_names is not None:
            return len(self.class_names)
        highest = max((int(self.labels.max()), *(u for classes in self.also for u in classes)))
        return self.columns or highest + 1

    @property
    def images_digest(self) -> str:
        """SHA-256 of the images, whatever they are called and in whatever order they stand."""
        return hashlib.sha256(b"".join(sorted(self.contents))).hexdigest()

    @property
    def labels_digest(self) -> str:
        """SHA-256 of the images with the class of each: by name, where the data set has names."""
        names = self.class_names or [str(u) for u in range(self.num_classes)]
        labels = [names[u] for u in self.labels.tolist()]
        for i, classes in enumerate(self.also):
            if classes:  # whichever of them it is asked about
                labels[i] = json.dumps(sorted(names[u] for u in (int(self.labels[i]), *classes)))
        pairs = sorted(zip(self.contents, labels, strict=True))
        return hashlib.sha256(b"".join(content + label.encode() + b"\0" for content, label in pairs)).hexdigest()

    def only(self, places: IntArray, note: str) -> "RawSplit":
        """The split with some of its images, and something more to say about it."""
        kept = places.tolist()
        return replace(
            self,
            images=Subset(self.images, kept),
            sample_ids=tuple(self.sample_ids[i] for i in kept),
            labels=self.labels[places],
            also=tuple(self.also[i] for i in kept) if self.also else (),
            contents=tuple(self.contents[i] for i in kept),
            pixels=tuple(self.pixels[i] for i in kept) if self.pixels else (),
            scales=tuple(self.scales[i] for i in kept) if self.scales else (),
            notes=(*self.notes, note),
        )


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
