"""Archives that say two things: no reader may see another model than the one that was looked at."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from case_monitor.registry.artifact import check_artifact
from case_monitor.registry.artifact.archive import Archive
from case_monitor.registry.artifact.refusal import Refusal
from tests.registry.artifacts.asking import DIGITS_3, REFUSED, refusal_of
from tests.registry.artifacts.corpus import PROGRAM, members_of, write_plainly

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


@pytest.fixture
def plain(version: Path) -> Path:
    program = version / "data" / "model.pt2"
    write_plainly(program, members_of(program))
    check_artifact(version, DIGITS_3, REFUSED)
    return program


def replaced(raw: bytes, place: int, by: bytes) -> bytes:
    return raw[:place] + by + raw[place + len(by) :]


def of_program(raw: bytes, mark: bytes, name_offset: int) -> int:
    """Where the header of the program's JSON begins."""
    place = -1
    while (place := raw.find(mark, place + 1)) >= 0:
        if raw[place + name_offset :].startswith(PROGRAM.encode()):
            return place
    raise LookupError(mark)


def _another_local_name(raw: bytes) -> bytes:
    return replaced(raw, of_program(raw, LOCAL, 30) + 30 + len(PROGRAM) - 5, b".jsom")


def _another_central_name(raw: bytes) -> bytes:
    return replaced(raw, of_program(raw, CENTRAL, 46) + 46 + len(PROGRAM) - 5, b".jsom")


def _another_local_size(raw: bytes) -> bytes:
    return replaced(raw, of_program(raw, LOCAL, 30) + 22, struct.pack("<I", 7))


def _another_central_size(raw: bytes) -> bytes:
    return replaced(raw, of_program(raw, CENTRAL, 46) + 20, struct.pack("<2I", 7, 7))


def _encrypted(raw: bytes) -> bytes:
    raw = replaced(raw, of_program(raw, CENTRAL, 46) + 8, b"\x01\x00")
    return replaced(raw, of_program(raw, LOCAL, 30) + 6, b"\x01\x00")


def _said_to_be_packed(raw: bytes) -> bytes:
    raw = replaced(raw, of_program(raw, CENTRAL, 46) + 10, b"\x08\x00")
    return replaced(raw, of_program(raw, LOCAL, 30) + 8, b"\x08\x00")


def _something_before(raw: bytes) -> bytes:
    return b"#!/bin/sh\n" + raw


def _something_behind(raw: bytes) -> bytes:
    return raw + b"\0"


def _a_comment(raw: bytes) -> bytes:
    return raw[:-2] + b"\x03\x00abc"


def _two_ends(raw: bytes) -> bytes:
    return raw + raw[raw.rfind(END) :]


def _a_wider_end_elsewhere(raw: bytes) -> bytes:
    end = raw.rfind(END)
    _, _, _, here, count, size, offset, _ = struct.unpack("<4s4H2IH", raw[end:])
    wide = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 30, 45, 0, 0, here, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, offset, 1)  # not where the wider end is
    return raw[:end] + wide + locator + raw[end:]


def _one_place_for_two(raw: bytes) -> bytes:
    first = struct.unpack_from("<I", raw, raw.find(CENTRAL) + 42)[0]
    return replaced(raw, of_program(raw, CENTRAL, 46) + 42, struct.pack("<I", first))


def _cut_off(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _no_archive(raw: bytes) -> bytes:
    return b"\x80\x02}q\x00."


@pytest.mark.parametrize(
    "trick",
    [
        _another_local_name,
        _another_central_name,
        _another_local_size,
        _another_central_size,
        _encrypted,
        _said_to_be_packed,
        _something_before,
        _something_behind,
        _a_comment,
        _two_ends,
        _a_wider_end_elsewhere,
        _one_place_for_two,
        _cut_off,
        _no_archive,
    ],
)
def test_tricks_are_refused(plain: Path, version: Path, trick: Callable[[bytes], bytes]) -> None:
    raw = plain.read_bytes()
    spoilt = trick(raw)
    assert spoilt != raw
    plain.write_bytes(spoilt)
    assert ": data/model.pt2" in refusal_of(version)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name",
    [
        PROGRAM,
        PROGRAM.upper().replace("MODEL/", "model/", 1),
        "other/models/model.json",
        "model/../model/models/model.json",
        "../model.json",
        "/etc/passwd",
        "model//x",
        "model/data/",
        "model",
        "model/models/mödel.json",
        "model/models\\model.json",
        "model/" + "x" * 300,
    ],
)
def test_names_are_plain_and_come_once(plain: Path, version: Path, name: str) -> None:
    with zipfile.ZipFile(plain, "a") as archive:
        archive.writestr(name, b"{}")
    assert ": data/model.pt2" in refusal_of(version)


def test_a_packed_member_is_refused_before_it_is_unpacked(plain: Path, version: Path) -> None:
    members = members_of(plain)
    with zipfile.ZipFile(plain, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.writestr("model/data/weights/weight_99", bytes(1 << 24), zipfile.ZIP_DEFLATED)
    assert "model/data/weights/weight_99: entries that are neither packed nor encrypted" in refusal_of(version)


def _small() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("a", "b", "c"):
            archive.writestr(zipfile.ZipInfo(f"root/{name}"), name * 9)
    return stream.getvalue()


SMALL = _small()


@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_is_spoilt_is_refused_or_read_as_python_reads_it(spoilt: list[tuple[int, int]]) -> None:
    raw = bytearray(SMALL)
    for place, byte in spoilt:
        raw[place] = byte
    try:
        archive = Archive(io.BytesIO(raw), "x")
    except Refusal:
        return
    try:
        other = zipfile.ZipFile(io.BytesIO(raw))
    except NotImplementedError:  # Python looks at the version that a reader should have
        return
    with other:
        assert sorted(other.namelist()) == sorted(f"{entry.name}" for entry in archive.members.values())
        for name, entry in archive.members.items():
            with other.open(entry.name) as stream:
                stream._expected_crc = None  # type: ignore[attr-defined] # torch does not look at it either
                assert stream.read() == archive.read(name, 100)
