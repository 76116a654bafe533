"""Explained images for people to look at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import FloatArray, IntArray

INPUT_RANGE = 3.0
"""What a picture of a model's input shows: values from minus to plus so much, as most models were trained on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelInputs:
    """A few images as the model gets them, on one scale: a wrong mean or order of channels is seen at a glance.

    Attributes:
        pixels: (g, H, W, 3) uint8: -`INPUT_RANGE` is black, +`INPUT_RANGE` white.
        means, sds: (C,) of all values of a channel.
    """

    pixels: npt.NDArray[np.uint8]
    means: FloatArray
    sds: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gallery:
    """A few explained images for people to look at: some of every class, then those whose maps agree most.

    Attributes:
        sample_ids: (g,) names.
        images: (g, H, W, 3) uint8, as a person would see them.
        target, top2: (g,) class indices.
        maps: method -> (g, 2, H, W) float32, non-negative, for the top-1 and the top-2 class.
        worst: how many of the images, at the end, are there because their maps agree most, the worst first.
        inputs: the images that were chosen by their class, as the model gets them; None: not kept.
    """

    sample_ids: tuple[str, ...]
    images: npt.NDArray[np.uint8]
    target: IntArray
    top2: IntArray
    maps: Mapping[str, npt.NDArray[np.float32]]
    worst: int = 0
    inputs: ModelInputs | None = None

    @property
    def by_class(self) -> "Gallery":
        """The images that were chosen by their class alone, without looking at their maps."""
        first = slice(len(self.sample_ids) - self.worst)
        return Gallery(
            sample_ids=self.sample_ids[first],
            images=self.images[first],
            target=self.target[first],
            top2=self.top2[first],
            maps={method: maps[first] for method, maps in self.maps.items()},
            inputs=self.inputs,
        )

    @classmethod
    def empty(cls, methods: tuple[str, ...] = ()) -> "Gallery":
        """Nothing to look at."""
        none = np.empty(0, dtype=np.int64)
        maps = dict.fromkeys(methods, np.empty((0, 2, 1, 1), dtype=np.float32))
        return cls(sample_ids=(), images=np.empty((0, 1, 1, 3), dtype=np.uint8), target=none, top2=none, maps=maps)
