"""DICOM: one frame of grey values, by the scale that the file gives them."""

import io

import numpy as np

from case_monitor.dataset.scales import Values
from case_monitor.domain.errors import DataError

SUFFIX = ".dcm"
_PREAMBLE, _MAGIC = 128, b"DICM"
BEGINNING = _PREAMBLE + len(_MAGIC)
"""Bytes of a file that say whether it is one."""
_GREY = {"MONOCHROME1": True, "MONOCHROME2": False}
"""Whether the least value stands for white."""
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class NoPictureError(Exception):
    """It can be read, and is no picture that can be taken without a choice of its owner's: the message says which."""


def is_dicom(content: bytes) -> bool:
    """By how it begins."""
    return content[_PREAMBLE:BEGINNING] == _MAGIC


def read_dicom(content: bytes) -> Values:
    """(H, W, 1) float64: stored values times slope plus intercept, which a CT has in Hounsfield units.

    A window that the file names is for people and differs from image to image: it is not used.

    Raises:
        NoPictureError: it has several frames, colours, or a scale that is no line.
        DataError: pydicom, or what it decodes this compression with, is not installed.
    """
    try:
        import pydicom  # an extra
        from pydicom.pixels.decoders.base import get_decoder
    except ImportError:
        msg = "split: DICOM files came, which need the extra case-monitor[dicom]; install it"
        raise DataError(msg) from None
    file = pydicom.dcmread(io.BytesIO(content))
    if not any(name in file for name in _PIXELS):
        msg = "it has no pixels"
        raise ValueError(msg)
    frames, colours = int(file.get("NumberOfFrames") or 1), str(file.get("PhotometricInterpretation"))
    if frames != 1:
        raise NoPictureError(f"one frame was expected, {frames} came; save the one that the model was trained on")
    if colours not in _GREY or file.get("SamplesPerPixel", 1) != 1:
        raise NoPictureError(f"grey values (MONOCHROME1 or 2) were expected, {colours} came; save it as PNG")
    if "ModalityLUTSequence" in file or "SharedFunctionalGroupsSequence" in file:
        what = "a table (ModalityLUTSequence)" if "ModalityLUTSequence" in file else "an enhanced object's own"
        raise NoPictureError(f"a scale by RescaleSlope and RescaleIntercept was expected, {what} came; save it so")
    if ("RescaleSlope" in file) != ("RescaleIntercept" in file):
        raise NoPictureError("RescaleSlope and RescaleIntercept were expected, one of them came; save it with both")
    syntax = file.file_meta.TransferSyntaxUID
    if syntax.is_compressed and syntax.is_encapsulated and not get_decoder(syntax).is_available:
        msg = f"split: {syntax.name} came, which pydicom has no decoder for here; install pylibjpeg, or decompress it"
        raise DataError(msg)
    slope, intercept = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
    values = file.pixel_array.astype(np.float64) * slope + intercept
    return Values(array=values[..., None], kind="DICOM", inverted=_GREY[colours])
