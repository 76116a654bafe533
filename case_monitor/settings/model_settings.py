"""One monitored model: where its validation images lie, what is done to them, what it is judged by."""

import math
from typing import Literal

from pydantic import Field, model_validator

from case_monitor.settings.pickles import Pickles
from case_monitor.settings.policy_and_protocol import PolicySettings, ProtocolSettings
from case_monitor.settings.splits import SplitSpec
from case_monitor.settings.strict import Strict


class Preprocessing(Strict):
    """From a stored image to the model's input: resize, crop, scale to [0, 1], normalise."""

    resize: int | None = Field(None, gt=0)
    """Length of the shorter side after resizing; omit to keep the size."""
    crop: int | None = Field(None, gt=0)
    """Side of the square cut from the centre; omit to keep everything."""
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
    how many say so."""

    @property
    def field_of_view(self) -> str:
        """What part of an image is left, whatever its size in pixels then."""
        return f"{self._part}, upright" if self.exif == "apply" else self._part

    @property
    def _part(self) -> str:
        if self.crop is None:
            return "whole"
        if self.resize is None:
            return f"central square of {self.crop} pixels"
        return f"central square, {self.crop / self.resize:.6g} of the shorter side"

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


class ModelSettings(Strict):
    """One monitored model."""

    split: SplitSpec
    """The validation images."""
    class_names: tuple[str, ...] | None = None
    """In the order of the logits. Needed only where neither the model version nor the data set says."""
    preprocessing: Preprocessing | None = None
    """Needed only where the model version was logged without it."""
    policy: PolicySettings | None = None
    """Replaces the general policy for this model."""
    protocol: ProtocolSettings | None = None
    """Replaces the general protocol for this model."""
    pickles: Pickles | None = None
    """Replaces the general setting for this model."""
