"""Images of more than 8 bits a channel: what their stored values are, and how a window makes 0..1 of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

Window = tuple[float, float]
_ONE_BYTE = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX"}
_AS_STORED = {None, "PNG", "TIFF", "PPM"}
"""Formats of whose deep pictures Pillow gives the stored values; others it stretches to 16 bits. None: made here."""
_BITS, _ONE_BYTE_MOST = 258, 255
_PHOTOMETRIC, _SAMPLE_FORMAT, _WHITE_IS_ZERO, _UNSIGNED = 262, 339, 0, 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """Stored values of one image.

    Attributes:
        array: (H, W, C), of a kind of number that NumPy has.
        inverted: whether the least stands for white (DICOM's MONOCHROME1).
        kind: what they are, for people.
    """

    array: npt.NDArray[Any]
    kind: str
    inverted: bool = False


class Scale(NamedTuple):
    """What of an image's stored values its scale is told by: what they are, the least, and the greatest."""

    kind: str
    low: float
    high: float


def is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits: Pillow would cut off what is above 255."""
    return image.mode not in _ONE_BYTE


def has_halved(image: Image.Image) -> bool:
    """Whether the file has more bits a channel than Pillow's mode of it: 16-bit RGB is opened as RGB of 8."""
    if is_deep(image):
        return False
    tiles: Any = getattr(image, "tile", [])
    tags: Any = getattr(image, "tag_v2", {})
    given = [part for tile in tiles for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    raw = any(isinstance(part, str) and ";16" in part for part in given)
    most = max((part for part in given if isinstance(part, int)), default=0) if image.format == "PPM" else 0
    return raw or most > _ONE_BYTE_MOST or max(tags.get(_BITS, (8,)), default=8) > 8


def values_of(image: Image.Image) -> Values:
    """Those of a picture that `is_deep`."""
    array = np.asarray(image)
    return Values(array=array.astype(array.dtype.newbyteorder("="))[..., None], kind=f"mode {image.mode}")


def why_not_as_stored(image: Image.Image) -> str | None:
    """What keeps Pillow's values of a deep picture from being those that were stored; None: nothing."""
    tiles: Any = getattr(image, "tile", [])
    stretched = image.format == "PPM" and any(tile[0] != "raw" for tile in tiles)
    tags: Any = getattr(image, "tag_v2", {})
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    if image.format not in _AS_STORED or stretched or inverted:
        what = "a TIFF whose least value is white" if inverted else f"a {image.format}, whose values are stretched,"
        return f"a PNG or TIFF was expected of a picture of more than 8 bits, {what} came; save it as such"
    return None


def why_no_values(values: Values) -> str | None:
    """What keeps stored values from being mapped; None: nothing."""
    if values.array.size == 0:
        return f"values were expected, none came ({values.kind})"
    if values.array.dtype.kind == "f" and not np.isfinite(values.array).all():
        return f"finite values were expected, NaN or infinity came ({values.kind}); save the value that is meant"
    return None


def scale_of(values: Values) -> Scale:
    """Of finite ones."""
    return Scale(values.kind, float(values.array.min()), float(values.array.max()))


def has_wrapped(image: Image.Image, scale: Scale) -> bool:
    """Whether a TIFF of unsigned integers has some that Pillow has no place for, and makes negative."""
    tags: Any = getattr(image, "tag_v2", {})
    return image.mode == "I" and tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED and scale.low < 0


def why_no_scale(scale: str | None, window: Window | None) -> str | None:
    """What keeps an image from becoming 0..1; None: nothing.

    Args:
        scale: what its stored values are, for people; None: 8 bits.
        window: of the preprocessing.
    """
    if scale is not None and window is None:
        return (
            f"8 bits a channel were expected, {scale} came, whose scale is not known; say it by preprocessing.window, "
            "save it in 8 bits as the model was trained on it, or return tensors from a split of kind function"
        )
    if scale is None and window is not None:
        return (
            f"more than 8 bits a channel were expected, as preprocessing.window is {list(window)}, 8 bits came; leave "
            "the window out, or save all images as the model was trained on them"
        )
    return None


def windowed(values: Values, window: Window) -> Tensor:
    """(C, H, W) float32: `window` becomes 0..1, what lies beyond it 0 or 1.

    Example:
        >>> windowed(Values(array=np.int16([[[-50], [0], [400]]]), kind="int16"), (-100, 100)).tolist()
        [[[0.25, 0.5, 1.0]]]
    """
    low, high = window
    shares = ((values.array.astype(np.float64) - low) / (high - low)).clip(0, 1)
    shares = 1 - shares if values.inverted else shares
    return torch.from_numpy(np.ascontiguousarray(shares.transpose(2, 0, 1), dtype=np.float32))


def clipped(scales: Sequence[Scale | None], window: Window) -> tuple[int, int]:
    """How many images have values beyond a window, and how many have no others."""
    low, high = window
    known = [scale for scale in scales if scale is not None]
    some = sum(scale.low < low or scale.high > high for scale in known)
    return some, sum(scale.high <= low or scale.low >= high for scale in known)
