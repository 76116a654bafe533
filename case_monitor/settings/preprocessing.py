"""From a stored image to the model's input."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from case_monitor.settings.strict import Strict


def _pixels(value: object) -> object:
    """One error for what is neither; in the environment, numbers are text."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    sides = value if isinstance(value, list | tuple) and len(value) == 2 else (value,)
    if all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        return value
    msg = "a positive number of pixels, or [height, width], were expected, {came} came"
    raise PydanticCustomError("pixels", msg, {"came": str(value)})


Pixels = Annotated[int | tuple[int, int], BeforeValidator(_pixels)]
Interpolation = Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]

_ADDED_LATER = {"exif", "interpolation", "antialias", "manner", "window"}
"""Evidence that is stored from before is of what they are where they are not said."""


class Preprocessing(Strict):
    """From a stored image to the model's input: resize, crop, scale to [0, 1], normalise."""

    resize: Pixels | None = None
    """Length of the shorter side after resizing, or height and width, which may change the image's proportions; omit to
    keep the size."""
    crop: Pixels | None = None
    """Side of the square cut from the centre, or height and width; omit to keep everything."""
    interpolation: Interpolation = "bilinear"
    """How pixels are made that lie between others."""
    antialias: bool = True
    """Whether an image is smoothed before it is made smaller."""
    manner: Literal["pictures", "tensors", "transformers", "transformers_pillow"] = "pictures"
    """What is resized: `pictures`, as Pillow does, which torchvision and timm take first; `tensors`, which differs by a
    level of 255; or tensors or pictures as image processors of transformers do, which also crop a pixel further up or
    left where an odd number is left over. With a window, values are resized as tensors in any case."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Per channel. A length of 1 or 3 says whether images become grey or RGB; of another, images must have as many
    channels."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Per channel."""
    window: tuple[float, float] | None = None
    """The stored values that become 0 and 1, for images of more than 8 bits a channel: those between become numbers
    between, those beyond become 0 and 1. Omitted, such images are refused; given, those of 8 bits are."""
    exif: Literal["apply", "ignore"] | None = None
    """Whether pictures that say so (EXIF) are turned first. Omitted, they are not, as in torchvision, and a note says
    how many say so. TIFFs always are, by Pillow."""

    @property
    def field_of_view(self) -> str:
        """What part of an image is left, whatever its size in pixels then."""
        return f"{self._part}, upright" if self.exif == "apply" else self._part

    @property
    def of_pictures(self) -> bool:
        """Whether Pillow resizes."""
        return self.manner in {"pictures", "transformers_pillow"}

    @property
    def identity(self) -> dict[str, Any]:
        """What makes another split of the same images."""
        default = {name: field.default for name, field in type(self).model_fields.items()}
        said = self.model_dump(mode="json")
        return {name: v for name, v in said.items() if name not in _ADDED_LATER or v != default[name]}

    @property
    def _part(self) -> str:
        if self.crop is None:
            return "whole"
        height, width = self.crop if isinstance(self.crop, tuple) else (self.crop, self.crop)
        shape = "square" if height == width else "part"
        if self.resize is None:
            pixels = f"{height}" if height == width else f"{height} x {width}"
            return f"central {shape} of {pixels} pixels"
        if isinstance(self.resize, tuple):
            shares = height / self.resize[0], width / self.resize[1]
            return "whole" if shares == (1, 1) else f"{shares[0]:.6g} of the height and {shares[1]:.6g} of the width"
        share = f"{height / self.resize:.6g}" + (f" x {width / self.resize:.6g}" if height != width else "")
        return f"central {shape}, {share} of the shorter side"

    @model_validator(mode="after")
    def _channels(self) -> "Preprocessing":
        if not self.mean or len(self.std) != len(self.mean) or min(self.std) <= 0:
            msg = "std: as many as mean, at least 1 (grey), and all positive, were expected"
            raise ValueError(f"{msg}; mean {self.mean} and std {self.std} came")
        return self

    @model_validator(mode="after")
    def _window(self) -> "Preprocessing":
        if self.window is not None and not -math.inf < self.window[0] < self.window[1] < math.inf:
            msg = f"window: two numbers, the lower one first, were expected, {list(self.window)} came"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _possible(self) -> "Preprocessing":
        if self.of_pictures and not self.antialias:
            msg = "manner: tensors or transformers was expected with antialias: false, as Pillow always smooths"
            raise ValueError(f"{msg}; {self.manner} came")
        if not self.of_pictures and self.interpolation in {"box", "hamming"}:
            msg = f"interpolation: nearest, bilinear, bicubic or lanczos was expected with manner: {self.manner}"
            raise ValueError(f"{msg}, {self.interpolation} came")
        return self
