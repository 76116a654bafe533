"""DICOM files: the scale that they give is applied, and what makes it another picture is refused."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from case_monitor.dataset import RawSplit, load_split, prepare, read_image
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit, Preprocessing
from tests.dataset.test_load import RGB, all_of, noise

STORED = np.array([[0, 1, 1024], [1100, 3000, 4095]], np.uint16)
WINDOW = (-160.0, 240.0)
CT = Preprocessing(mean=(0.0,), std=(1.0,), window=WINDOW)


def dicom(pixels: np.ndarray = STORED, **fields: Any) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.Rows, file.Columns = pixels.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(pixels.dtype.kind == "i")
    file.RescaleSlope, file.RescaleIntercept = 2, -1024
    file.WindowCenter, file.WindowWidth = 40, 80  # for people: not used
    file.PixelData = pixels.tobytes()
    for name, value in fields.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    out = io.BytesIO()
    pydicom.dcmwrite(out, file, enforce_file_format=True)
    return out.getvalue()


def folder(path: Path, *files: bytes) -> RawSplit:
    (path / "val" / "a").mkdir(parents=True, exist_ok=True)
    for i, content in enumerate(files):
        (path / "val" / "a" / f"{i}.dcm").write_bytes(content)
    return load_split(ImageFolderSplit(kind="image_folder", path=path / "val"))


def by_pydicom(content: bytes) -> torch.Tensor:
    """(1, 1, H, W) by pydicom's own scale."""
    file = pydicom.dcmread(io.BytesIO(content))
    values = np.asarray(apply_modality_lut(file.pixel_array, file), dtype=np.float64)
    shares = np.interp(values, WINDOW, (0, 1))
    return torch.from_numpy(1 - shares if file.PhotometricInterpretation == "MONOCHROME1" else shares).float()[
        None, None
    ]


@pytest.mark.parametrize(
    ("pixels", "fields"),
    [
        (STORED, {}),
        (STORED.astype(np.int16) - 1000, {"RescaleSlope": "0.5", "RescaleIntercept": "-3.25"}),
        (STORED, {"RescaleSlope": None, "RescaleIntercept": None}),
        (STORED, {"PhotometricInterpretation": "MONOCHROME1"}),
        (STORED.astype(np.uint8), {"RescaleIntercept": "-100"}),
        (STORED, {"NumberOfFrames": 1}),
    ],
)
def test_values_are_those_of_pydicom(tmp_path: Path, pixels: np.ndarray, fields: dict[str, Any]) -> None:
    content = dicom(pixels, **fields)
    source = prepare(folder(tmp_path, content), ("a",), CT)[1]
    torch.testing.assert_close(all_of(source), by_pydicom(content))
    alone = prepare(read_image(tmp_path / "val" / "a" / "0.dcm"), ("a",), CT)[1]
    assert torch.equal(all_of(alone), all_of(source))


def test_one_by_hand(tmp_path: Path) -> None:
    """Twice 600 less 1024 is 176 HU: 336 of 400 of the window, and from white downwards 64."""
    pixels = np.array([[600]], np.uint16)
    files = dicom(pixels), dicom(pixels, PhotometricInterpretation="MONOCHROME1")
    values = all_of(prepare(folder(tmp_path, *files), ("a",), CT)[1])
    torch.testing.assert_close(values.ravel(), torch.tensor([0.84, 0.16]))


def test_a_file_needs_no_suffix(tmp_path: Path) -> None:
    """As scanners write them."""
    folder(tmp_path, dicom())
    (tmp_path / "val" / "a" / "IM0001").write_bytes(dicom(STORED + 1))
    assert folder(tmp_path).sample_ids == ("a/0.dcm", "a/IM0001")


def test_a_compressed_one_is_the_same(tmp_path: Path) -> None:
    file = pydicom.dcmread(io.BytesIO(dicom()))
    file.compress(RLELossless)
    out = io.BytesIO()
    file.save_as(out)
    raw = folder(tmp_path, dicom(), out.getvalue())
    assert raw.sample_ids == ("a/0.dcm",)  # of the same values: counts once


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (dicom(np.stack([STORED, STORED]), NumberOfFrames=2), "one frame was expected, 2 came"),
        (dicom(PhotometricInterpretation="PALETTE COLOR"), "grey values .* were expected, PALETTE COLOR came"),
        (dicom(SharedFunctionalGroupsSequence=Sequence([])), "by RescaleSlope .*, an enhanced object's own came"),
        (dicom(RescaleIntercept=None), "RescaleSlope and RescaleIntercept were expected, one of them came"),
        (dicom(ModalityLUTSequence=Sequence([])), "a scale by RescaleSlope .*, a table"),
        (dicom()[:-4], "cannot be read: .*pixel data"),
        (dicom()[:300], "cannot be read: it has no pixels"),
        (b"no preamble", "cannot be read: its format"),
    ],
)  # fmt: skip
def test_what_is_no_such_picture_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=rf"^image 'a/0\.dcm' of split 'val':? .*{said}") as error:
        folder(tmp_path, content)
    assert "\n" not in str(error.value)


def test_without_a_window_there_is_no_scale(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"8 bits a channel were expected, DICOM came, .* preprocessing.window"):
        prepare(folder(tmp_path, dicom()), ("a",), RGB)


def test_among_pictures_of_8_bits_it_is_named(tmp_path: Path) -> None:
    folder(tmp_path, dicom())
    noise(1).save(tmp_path / "val" / "a" / "1.png")
    with pytest.raises(DataError, match=r"'a/1\.png' .*, 8 bits came"):
        prepare(folder(tmp_path), ("a",), CT)


def test_a_compression_that_nothing_decodes_is_said(tmp_path: Path) -> None:
    file = pydicom.dcmread(io.BytesIO(dicom()))
    file.file_meta.TransferSyntaxUID = JPEG2000Lossless
    file.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51"])
    file["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    file.save_as(out)
    with pytest.raises(DataError, match=r"JPEG 2000 Image Compression .Lossless Only. came.*|cannot be read"):
        folder(tmp_path, out.getvalue())


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"DICOM files came, which need the extra case-monitor\[dicom\]"):
        folder(tmp_path, dicom())
