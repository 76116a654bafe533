"""Which files are pictures, and which of those can be taken for 8-bit RGB without a choice of their owner's."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from case_monitor.dataset.raw_split import content_digest

Image.init()
_USUAL = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "AVIF", "JPEG2000", "SGI", "PCX", "TGA")
FORMATS = tuple(name for name in _USUAL if name in Image.OPEN)
"""What is read, where this Pillow can: no format of which another program makes a picture (EPS), and none of stubs."""
_ANIMATED = {"GIF", "PNG", "TIFF", "WEBP"}
_ONE_BYTE = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX"}
_LARGEST = 1 << 30
"""Bytes of a file: it is read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there is to know about a file.

    Attributes:
        content: its digest, which is that of the split: the pixels of a JPEG depend a little on the decoder.
        pixels: that of its pixels, which are the same in another encoding.
        turned: whether it says that it is to be turned before it is looked at (EXIF).
        problem: why it is no RGB picture, with the remedy.
    """

    content: bytes
    pixels: bytes
    turned: bool = False
    problem: str | None = None


def look(file: Path) -> Look:
    """Read a file, and see what it is. What cannot be read at all is said when it is needed."""
    if file.stat().st_size > _LARGEST:
        return Look(content=b"", pixels=b"", problem="a picture of up to 1 GiB was expected, a larger file came")
    content = file.read_bytes()
    digest = hashlib.sha256(content).digest()
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            problem = why_no_rgb(image)
            rgb = image.convert("RGB")
            turned = is_turned(image)  # a TIFF no longer is: Pillow turns it when it is loaded
    except Exception:
        return Look(content=digest, pixels=digest)
    pixels = f"{rgb.size} {'turned ' if turned else ''}".encode() + rgb.tobytes()
    return Look(content=digest, pixels=content_digest(pixels), turned=turned, problem=problem)


def may_be_picture(file: Path) -> bool:
    """By its suffix."""
    return Image.EXTENSION.get(file.suffix.lower()) in {*FORMATS, "MPO"}  # MPO: some JPEGs are


def is_picture(file: Path) -> bool:
    """By how it begins."""
    try:
        with Image.open(file, formats=FORMATS):
            return True
    except (OSError, ValueError, SyntaxError):
        return False


def why_no_rgb(image: Image.Image) -> str | None:
    """What keeps a picture from being taken for RGB, with the remedy; None: nothing.

    Where a channel has more than 8 bits, Pillow cuts off what is above 255, and transparency and later frames it
    forgets: either makes another picture of it, in silence.
    """
    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    if frames > 1:
        return f"one picture was expected, {frames} came; save the one that the model was trained on"
    if image.mode not in _ONE_BYTE:
        return (
            f"8 bits a channel were expected, mode {image.mode} came, whose scale is not known; save it in 8 bits as "
            "the model was trained on it, or return tensors from a split of kind function"
        )
    if image.has_transparency_data and _alpha(image).getextrema()[0] != 255:
        return (
            f"an opaque picture was expected, transparent pixels came (mode {image.mode}); save it as RGB, on the "
            "background that the model was trained on"
        )
    return None


def read_rgb(path: Path | str) -> Image.Image:
    """Open a file as every model gets it. The caller has seen that it can be taken for RGB (`why_no_rgb`)."""
    with Image.open(path, formats=FORMATS) as image:
        return image.convert("RGB")


def is_turned(image: Image.Image) -> bool:
    """Whether it says that it is to be turned, or mirrored, before it is looked at."""
    return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)


def upright(image: Image.Image) -> Image.Image:
    """As it says that it is to be looked at."""
    return ImageOps.exif_transpose(image)


def _alpha(image: Image.Image) -> Image.Image:
    return image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A")
