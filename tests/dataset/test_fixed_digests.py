"""The digests of splits as they were when evidence was first stored of them: another one makes all of it worthless."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.settings import ImageFolderSplit, NpzSplit, Preprocessing
from tests.dataset.test_load import write_npz

RGB = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), resize=4, crop=4)


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 without an encoder, whose bytes may change from release to release: stored, not compressed."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(lines), 0xFFFF - len(lines)) + lines
    stored += struct.pack(">I", zlib.adler32(lines))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def pixels(seed: int) -> np.ndarray:
    return (np.arange(5 * 6 * 3).reshape(5, 6, 3) * (seed + 3) % 251).astype(np.uint8)


def a_folder(path: Path) -> RawSplit:
    for place, name in enumerate(("ant/0.png", "bee/1.png", "bee/sub/2.png", "cat x/ü.png")):
        (path / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "val" / name).write_bytes(png(pixels(place)))
    return load_split(ImageFolderSplit(kind="image_folder", path=path / "val"))


def an_archive(path: Path) -> RawSplit:
    images = np.stack([pixels(u) for u in range(4)])
    write_npz(path / "val.npz", images=images, labels=np.array([0, 1, 1, 2]), class_names=np.array(["a", "b", "c"]))
    return load_split(NpzSplit(kind="npz", path=path / "val.npz"))


@pytest.mark.parametrize(
    ("make", "digest", "images", "labels", "prepared"),
    [
        (a_folder, "7500cd1228dda8fb", "207762b815d0e2d6", "a1f29334173ac900", "cada4a218f934fe0"),
        (an_archive, "a9693ed6d08ac29a", "5b3516b7b2f8f7c2", "58e2cf49034305ee", "f8ca89c3dcbeac1c"),
    ],
)
def test_a_split_is_called_as_it_always_was(
    tmp_path: Path, make: Callable[[Path], RawSplit], digest: str, images: str, labels: str, prepared: str
) -> None:
    raw = make(tmp_path)
    assert raw.class_names is not None
    split, _ = prepare(raw, raw.class_names[::-1], RGB)
    assert (raw.digest[:16], raw.images_digest[:16], raw.labels_digest[:16]) == (digest, images, labels)
    assert split.digest[:16] == prepared
