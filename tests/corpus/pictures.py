"""Files in the place of a picture: `a/x...` beside a picture of class "b" that is as it should be."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from case_monitor.settings import ImageFolderSplit, Preprocessing, SplitSpec
from tests.corpus.case import RGB, Case

Put = Callable[[Path], object]
_SIDE = 12
_HUGE = (1 << 30) + 1


def _rgb(seed: int = 1) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _bytes(image: Image.Image, kind: str, **more: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **more)
    return content.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *more: bytes) -> bytes:
    """A PNG that announces a size, with next to nothing in it."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


def _deep_png(kind: int) -> bytes:
    """Of colours (2) or colours and alpha (6), 12 bits of 16."""
    channels = {2: 3, 6: 4}[kind]
    values = np.random.default_rng(1).integers(0, 4096, (_SIDE, _SIDE, channels), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", _SIDE, _SIDE, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _deep_ppm() -> bytes:
    values = np.random.default_rng(1).integers(0, 4096, (_SIDE, _SIDE, 3), dtype=np.uint16)
    return f"P6 {_SIDE} {_SIDE} 65535\n".encode() + values.astype(">u2").tobytes()


def _in_folder(name: str, put: Put) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        for folder in ("a", "b"):
            (place / folder).mkdir()
        _rgb(2).save(place / "b" / "good.png")
        put(place / "a" / name)
        return ImageFolderSplit(kind="image_folder", path=place)

    return build


def _holds(content: bytes) -> Put:
    return lambda file: file.write_bytes(content)


def _saved(image: Image.Image, **more: Any) -> Put:
    return lambda file: image.save(file, **more)


def _sparse(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(_HUGE)


def _broken_checksum() -> bytes:
    content = bytearray(_bytes(_rgb(), "PNG"))
    content[content.index(b"IDAT") + 20] ^= 0xFF
    return bytes(content)


def _turned() -> Put:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_rgb(), exif=exif)


def _clear(mode: str) -> Image.Image:
    image = _rgb().convert(mode)
    image.putalpha(Image.new("L", image.size, 100))
    return image


def _palette() -> Put:
    return _saved(_rgb().quantize(8), transparency=0)


_FRAMES: dict[str, Any] = {"save_all": True, "append_images": [_rgb(3)]}
_DEEP = np.arange(_SIDE * _SIDE, dtype=np.uint16).reshape(_SIDE, _SIDE) * 300
_FLOATS = np.linspace(0, 1, _SIDE * _SIDE, dtype=np.float32).reshape(_SIDE, _SIDE)
_NAN = np.where(_FLOATS > 0.5, np.float32("nan"), _FLOATS)
_TEXT_BOMB = _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80 << 20)))

_REFUSED: list[tuple[str, str, Put, str]] = [
    ("an empty file", "x.png", _holds(b""), "'a/x.png' of split"),
    ("text", "x.png", _holds(b"no picture"), "'a/x.png' of split"),
    ("a web page", "x.jpg", _holds(b"<html><body>404</body></html>"), "'a/x.jpg' of split"),
    ("half a JPEG", "x.jpg", _holds(_bytes(_rgb(), "JPEG")[:200]), "'a/x.jpg' of split"),
    ("half a PNG", "x.png", _holds(_bytes(_rgb(), "PNG")[:120]), "'a/x.png' of split"),
    ("half a WebP", "x.webp", _holds(_bytes(_rgb(), "WEBP")[:60]), "'a/x.webp' of split"),
    ("a PNG whose checksum is wrong", "x.png", _holds(_broken_checksum()), "'a/x.png' of split"),
    ("a PNG without pixels (0 x 0)", "x.png", _holds(_png(0, 0)), "'a/x.png' of split"),
    ("a PNG that announces 60000 x 60000 pixels", "x.png", _holds(_png(60000, 60000)), "'a/x.png' of split"),
    ("a PNG that announces 2 ** 31 - 1 squared", "x.png", _holds(_png(2**31 - 1, 2**31 - 1)), "'a/x.png' of split"),
    ("a PNG with 80 MiB of text, compressed", "x.png", _holds(_png(2, 2, _TEXT_BOMB)), "'a/x.png' of split"),
    ("an EPS by another name", "x.png", _holds(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "'a/x.png' of split"),
    ("a PNG of 16 bits", "x.png", _saved(Image.fromarray(_DEEP)), "8 bits a channel were expected, mode I;16 came"),
    ("a TIFF of 16 bits", "x.tiff", _saved(Image.fromarray(_DEEP)), "8 bits a channel were expected"),
    ("a PNG of 16 bits with transparent pixels", "x.png", _holds(_deep_png(6)), "transparent pixels came (mode RGBA)"),
    ("an AVIF of two pictures", "x.avif", _saved(_rgb(), **_FRAMES), "one picture was expected, 2 came"),
    ("a TIFF of 32 bits", "x.tif", _saved(Image.fromarray(_DEEP.astype(np.int32))), "mode I came"),
    ("a TIFF of floats", "x.tif", _saved(Image.fromarray(_FLOATS)), "mode F came"),
    ("a TIFF of NaN", "x.tif", _saved(Image.fromarray(_NAN)), "'a/x.tif' of split"),
    ("a PNG with transparent pixels", "x.png", _saved(_clear("RGB")), "transparent pixels came (mode RGBA)"),
    ("a grey PNG with transparent pixels", "x.png", _saved(_clear("L")), "transparent pixels came (mode LA)"),
    ("a palette with a transparent colour", "x.png", _palette(), "transparent pixels came"),
    ("a GIF of two pictures", "x.gif", _saved(_rgb(), **_FRAMES), "one picture was expected, 2 came"),
    ("a WebP of two pictures", "x.webp", _saved(_rgb(), **_FRAMES), "one picture was expected, 2 came"),
    ("a TIFF of two pages", "x.tiff", _saved(_rgb(), **_FRAMES), "one picture was expected, 2 came"),
    ("an animated PNG", "x.png", _saved(_rgb(), **_FRAMES), "one picture was expected, 2 came"),
    ("a pipe", "x.png", os.mkfifo, "a regular file was expected, a pipe or device came"),
    ("a link to a device", "x.png", lambda f: f.symlink_to("/dev/zero"), "a pipe or device came"),
    ("a link to nothing", "x.png", lambda f: f.symlink_to("nowhere"), "a file was expected"),
    ("a link to itself", "x.png", lambda f: f.symlink_to(f), "a file was expected"),
    ("a file above 1 GiB", "x.png", _sparse, "a picture of up to 1 GiB was expected"),
    ("a DICOM that is none", "x.dcm", _holds(bytes(128) + b"DICM" + b"\xff" * 64), "'a/x.dcm' of split"),
]

_READ: list[tuple[str, str, Put, int, str | None]] = [
    ("a JPEG with bytes behind it", "x.jpg", _holds(_bytes(_rgb(), "JPEG") + b"garbage"), 2, None),
    ("a JPEG of CMYK", "x.jpg", _saved(_rgb().convert("CMYK")), 2, None),
    ("a grey JPEG", "x.jpeg", _saved(_rgb().convert("L")), 2, None),
    ("a PNG of one bit", "x.png", _saved(_rgb().convert("1")), 2, None),
    ("a BMP", "x.bmp", _saved(_rgb()), 2, None),
    ("a GIF of one picture", "x.gif", _saved(_rgb()), 2, None),
    ("a JPEG by the name .jfif", "x.jfif", _holds(_bytes(_rgb(), "JPEG")), 2, None),
    ("a PNG without a suffix", "x", _holds(_bytes(_rgb(), "PNG")), 2, None),
    ("a PNG named .jpg", "x.jpg", _holds(_bytes(_rgb(), "PNG")), 2, None),
    ("a PNG whose alpha is opaque", "x.png", _saved(_rgb().convert("RGBA")), 2, None),
    ("a PNG with a line break in its name", "x\ny.png", _saved(_rgb()), 2, None),
    ("a PNG whose name is no UTF-8", os.fsdecode(b"x\xff.png"), _saved(_rgb()), 2, None),
    ("a JPEG that is to be turned (EXIF)", "x.jpg", _turned(), 2, "are to be turned first (EXIF), and are not"),
    (
        "a PNG of 16 bits and three channels",
        "x.png",
        _holds(_deep_png(2)),
        2,
        "1 images of 'split' have 16 bits a channel",
    ),
    ("a PPM of 16 bits", "x.ppm", _holds(_deep_ppm()), 2, "Pillow takes the upper 8"),
    ("a folder named x.png, with a picture", "x.png", lambda f: (f.mkdir(), _rgb().save(f / "1.png")), 2, None),
    ("an SVG", "x.svg", _holds(b"<svg/>"), 1, "1 files that are no pictures"),
    ("what a file manager left", "Thumbs.db", _holds(b"\xd0\xcf\x11\xe0"), 1, "Thumbs.db"),
    ("a hidden picture", ".x.png", _saved(_rgb()), 1, "1 hidden files or folders"),
    ("the same picture again", "x.png", _saved(_rgb(2)), 2, "1 images"),
]

_PNG_INFO = PngImagePlugin.PngInfo()
_PNG_INFO.add_text("note", "as usual")


def picture_cases() -> list[Case]:
    refused = [Case(what=what, build=_in_folder(name, put), says=says) for what, name, put, says in _REFUSED]
    read = [
        Case(what=what, build=_in_folder(name, put), says=says, images=images)
        for what, name, put, images, says in _READ
    ]
    window = Preprocessing(mean=(0.0,), std=(1.0,), window=(0, 1))
    return [
        *refused,
        *read,
        Case(
            what="a TIFF of NaN, with a window",
            build=_in_folder("x.tif", _saved(Image.fromarray(_NAN))),
            says="finite values were expected, NaN or infinity came",
            preprocessing=window,
        ),
        Case(
            what="8 bits, with a window",
            build=_in_folder("x.png", _saved(_rgb(), pnginfo=_PNG_INFO)),
            says="more than 8 bits a channel were expected",
            preprocessing=window,
        ),
        Case(
            what="pictures of two sizes, and no resize",
            build=_in_folder("x.png", _saved(_rgb().resize((20, 20)))),
            says="image size (channels, height, width): one for all images was expected",
            preprocessing=RGB,
        ),
    ]
