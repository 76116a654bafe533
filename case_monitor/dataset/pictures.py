"""Which bytes are pictures, and which of those can be taken without a choice of their owner's."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from case_monitor.dataset.content_digest import content_digest
from case_monitor.dataset.dicom import BEGINNING, SUFFIX, NoPictureError, is_dicom, read_dicom
from case_monitor.dataset.scales import (
    Scale,
    Values,
    has_halved,
    has_wrapped,
    is_deep,
    scale_of,
    values_of,
    why_no_values,
    why_not_as_stored,
)
from case_monitor.dataset.stored import Stored
from case_monitor.domain.errors import CaseMonitorError
from case_monitor.logs.foreign_errors import short_message

Image.init()
_USUAL = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "AVIF", "JPEG2000", "SGI", "PCX", "TGA")
FORMATS = tuple(name for name in _USUAL if name in Image.OPEN)
"""What is read, where this Pillow can: no format of which another program makes a picture (EPS), and none of stubs."""
_ANIMATED = {"AVIF", "GIF", "PNG", "TIFF", "WEBP"}
_LARGEST = 1 << 30
"""Bytes of a picture: it is read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there is to know about a picture.

    Attributes:
        content: its digest, which is that of the split: the pixels of a JPEG depend a little on the decoder.
        pixels: that of its pixels, which are the same in another encoding.
        scale: of stored values that have more than 8 bits.
        halved: whether it has 16 bits a channel, of which Pillow takes the upper 8, as in RGB.
        turned: whether it says that it is to be turned before it is looked at (EXIF).
        problem: what is to be decided about it before it is a picture, with the remedy.
        unreadable: why it cannot be read at all.
    """

    content: bytes = b""
    pixels: bytes = b""
    scale: Scale | None = None
    halved: bool = False
    turned: bool = False
    problem: str | None = None
    unreadable: str | None = None


def look(stored: Stored) -> Look:
    """Read a picture, and see what it is.

    Raises:
        DataError: what is needed to read such pictures is not installed.
    """
    try:
        if stored.size() > _LARGEST:
            return Look(problem="a picture of up to 1 GiB was expected, a larger one came")
        content = stored.content()
        return _look_at(content)
    except CaseMonitorError:
        raise
    except NoPictureError as error:
        return Look(problem=str(error))
    except UnidentifiedImageError:  # its text has an address in memory, which is another each time
        return Look(unreadable="its format cannot be identified")
    except OSError as error:  # its text may repeat a path that the name has said
        return Look(unreadable=error.strerror or short_message(error))
    except Exception as error:
        return Look(unreadable=short_message(error))


def read(content: bytes) -> Image.Image | Values:
    """A picture as every model gets it: RGB, or its stored values. The caller has had a `look`."""
    if is_dicom(content):
        return read_dicom(content)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if not is_deep(image):
            return image.convert("RGB")
        return image.copy()  # which needs the bytes no more


def may_be_picture(file: Path) -> bool:
    """By its suffix."""
    suffix = file.suffix.lower()
    return suffix == SUFFIX or Image.EXTENSION.get(suffix) in {*FORMATS, "MPO"}  # MPO: some JPEGs are


def is_picture(file: Path) -> bool:
    """By how it begins."""
    try:
        with file.open("rb") as opened:
            if is_dicom(opened.read(BEGINNING)):
                return True
        with Image.open(file, formats=FORMATS):
            return True
    except (OSError, ValueError, SyntaxError):
        return False


def why_no_picture(image: Image.Image) -> str | None:
    """What keeps a picture from being taken as it is, with the remedy; None: nothing, beside its scale.

    Transparency and later frames Pillow forgets, which makes another picture of it, in silence.
    """
    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    if frames > 1:
        return f"one picture was expected, {frames} came; save the one that the model was trained on"
    if is_deep(image):
        if "transparency" in image.info:
            return f"an opaque picture was expected, one with a transparent value came (mode {image.mode})"
        return why_not_as_stored(image)
    if image.has_transparency_data and _alpha(image).getextrema()[0] != 255:
        return (
            f"an opaque picture was expected, transparent pixels came (mode {image.mode}); save it as RGB, on the "
            "background that the model was trained on"
        )
    return None


def is_turned(image: Image.Image) -> bool:
    """Whether it says that it is to be turned, or mirrored, before it is looked at."""
    return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)


def upright(image: Image.Image) -> Image.Image:
    """As it says that it is to be looked at."""
    return ImageOps.exif_transpose(image)


def _look_at(content: bytes) -> Look:
    digest = hashlib.sha256(content).digest()
    if is_dicom(content):
        return _look_at_values(digest, read_dicom(content))
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        problem = why_no_picture(image)
        if problem:
            return Look(content=digest, problem=problem)
        if is_deep(image):
            found = _look_at_values(digest, values_of(image), _way(image))
            if found.scale is not None and has_wrapped(image, found.scale):
                raise NoPictureError("values below 2 ** 31 were expected, greater ones came; save it as floats")
            return found
        halved = has_halved(image)
        rgb = image.convert("RGB")
        way = _way(image)  # a TIFF has none any more: Pillow turns it when it is loaded
    pixels = f"{rgb.size} {way}".encode() + rgb.tobytes()
    return Look(content=digest, pixels=content_digest(pixels), halved=halved, turned=bool(way))


def _way(image: Image.Image) -> str:
    """How it is to be turned, or mirrored, before it is looked at; "": not at all."""
    return f"turned {image.getexif()[ExifTags.Base.Orientation]} " if is_turned(image) else ""


def _look_at_values(digest: bytes, values: Values, way: str = "") -> Look:
    problem = why_no_values(values)
    if problem:
        raise NoPictureError(problem)
    array = values.array
    about = f"{array.shape} {array.dtype} {values.inverted} {way}"
    pixels = content_digest(about.encode() + array.tobytes())
    return Look(content=digest, pixels=pixels, scale=scale_of(values), turned=bool(way))


def _alpha(image: Image.Image) -> Image.Image:
    return image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A")
