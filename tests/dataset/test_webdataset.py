"""Shards: each picture has the label of its key, is read from its place, and a shard that is not whole is an error."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import WebdatasetSplit
from tests.dataset.test_huggingface import encoded
from tests.dataset.test_load import RGB, all_of, noise

PNG = [encoded(noise(i)) for i in range(5)]
WHOLE = [("a/0.png", PNG[0]), ("a/0.cls", b"2"), ("a/1.cls", b"0\n"), ("a/1.png", PNG[1])]


def shard(path: Path, entries: list[tuple[Any, bytes]], kind: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=kind) as out:
        for name, content in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def read(path: Path, **more: Any) -> RawSplit:
    return load_split(WebdatasetSplit(kind="webdataset", path=path, **more))


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_each_picture_has_the_label_of_its_key(tmp_path: Path, kind: int) -> None:
    shard(tmp_path / "val" / "1.tar", [("b/0.PNG", PNG[2]), ("b/0.cls", b" 1 ")], kind)
    shard(tmp_path / "val" / "0.tar", WHOLE, kind)
    raw = read(tmp_path / "val")
    assert (raw.name, raw.class_names, raw.notes) == ("val", None, ())
    assert (raw.sample_ids, raw.labels.tolist()) == (("a/0", "a/1", "b/0"), [2, 0, 1])
    split, source = prepare(raw, ("x", "y", "z"), RGB)
    stored = torch.stack([torch.from_numpy(np.array(noise(i))).permute(2, 0, 1) for i in range(3)])
    torch.testing.assert_close(all_of(source), stored.float() / 255)
    assert prepare(read(tmp_path / "val" / "*.tar"), ("x", "y", "z"), RGB)[0].digest == split.digest


def test_labels_can_be_a_field_of_json(tmp_path: Path) -> None:
    samples = [("0.json", json.dumps({"y": "dog"}).encode()), ("0.png", PNG[0]), ("0.cls", b"7")]
    samples += [("1.json", json.dumps({"y": "Bär"}).encode()), ("1.png", PNG[1])]
    raw = read(shard(tmp_path / "val.tar", samples), label_field="y", labels="names")
    assert (raw.name, raw.class_names, raw.labels.tolist()) == ("val", ("Bär", "dog"), [1, 0])
    assert raw.notes == ("1 files of 'val' that are no pictures and no labels were left out: 1 .cls.",)


@pytest.mark.parametrize("written", [True, False])
def test_names_of_classes_can_be_given(tmp_path: Path, written: bool) -> None:
    names: Any = ("ant", "bee", "cat")
    if written:
        (tmp_path / "classes.txt").write_text("ant\nbee\ncat\n")
        names = tmp_path / "classes.txt"
    raw = read(shard(tmp_path / "val.tar", WHOLE), class_names=names)
    assert (raw.class_names, raw.labels.tolist()) == (("ant", "bee", "cat"), [2, 0])
    texts = [("0.png", PNG[0]), ("0.cls", b"bee"), ("1.png", PNG[1]), ("1.cls", b"ant")]
    raw = read(shard(tmp_path / "val.tar", texts), class_names=names, labels="names")
    assert (raw.class_names, raw.labels.tolist()) == (("ant", "bee", "cat"), [1, 0])
    with pytest.raises(DataError, match=r"classes of split\.class_names were expected, dog came"):
        read(
            shard(tmp_path / "val.tar", [*texts, ("2.png", PNG[2]), ("2.cls", b"dog")]),
            class_names=names,
            labels="names",
        )


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    more = [("a/0.seg.png", PNG[3]), ("a/0.txt", b"x"), ("a/9.cls", b"1"), ("a/._0.png", b"x"), ("README", b"x")]
    raw = read(shard(tmp_path / "val.tar", WHOLE + more))
    assert raw.sample_ids == ("a/0", "a/1")
    assert raw.notes == (
        "1 labels of 'val' have no picture and were left out: a/9.",
        "2 files of 'val' without a key were left out: a/._0.png, README.",
        "2 files of 'val' that are no pictures and no labels were left out: 1 .seg.png, 1 .txt.",
    )


def test_what_is_beside_the_shards_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "val" / "0.tar", WHOLE)
    (tmp_path / "val" / "1.tar.gz").write_bytes(b"x")
    shard(tmp_path / "val" / "more" / "2.tar", [("2.png", PNG[2]), ("2.cls", b"1")])
    raw = read(tmp_path / "val")
    assert raw.notes == ("2 entries of 'val' that are no shards (.tar) were left out: 1.tar.gz, more.",)


def test_names_as_the_tool_tar_writes_them(tmp_path: Path) -> None:
    raw = read(shard(tmp_path / "val.tar", [(f"./{name}", content) for name, content in WHOLE]))
    assert raw.sample_ids == ("a/0", "a/1")


def test_nothing_is_unpacked(tmp_path: Path) -> None:
    read(shard(tmp_path / "val" / "0.tar", WHOLE))
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["0.tar"]


def test_a_broken_picture_may_be_left_out(tmp_path: Path) -> None:
    path = shard(tmp_path / "val.tar", [*WHOLE, ("2.png", b"x"), ("2.cls", b"1")])
    with pytest.raises(DataError, match="image '2' of split 'val' cannot be read"):
        read(path)
    assert read(path, unreadable=1).sample_ids == ("a/0", "a/1")


@pytest.mark.parametrize(
    ("entries", "more", "said"),
    [
        ([*WHOLE, (link("2.png", tarfile.SYMTYPE), b"")], {}, "'2.png': a regular file was expected, a link came"),
        ([*WHOLE, (link("2.png", tarfile.LNKTYPE), b"")], {}, "'2.png': a regular file was expected, a link came"),
        ([*WHOLE, (link("2.png", tarfile.CHRTYPE), b"")], {}, "'2.png': a regular file was expected, a device"),
        ([*WHOLE, (link("2.png", tarfile.FIFOTYPE), b"")], {}, "'2.png': a regular file was expected, a device"),
        ([*WHOLE, ("../2.png", PNG[2])], {}, "'../2.png': a name inside of the shard was expected"),
        ([*WHOLE, ("/etc/2.png", PNG[2])], {}, "a name inside of the shard was expected"),
        ([*WHOLE, ("a/0.png", PNG[2])], {}, "of each key were expected, 'a/0' has two: val.tar and val.tar"),
        ([*WHOLE, ("a/0.jpg", PNG[2])], {}, "of each key were expected, 'a/0' has two"),
        ([*WHOLE, ("a/0.cls", b"1")], {}, "of each key were expected, 'a/0' has two"),
        ([*WHOLE, ("a/2.png", PNG[2])], {}, "a file .cls for each picture was expected, 1 have none: a/2"),
        ([("0.png", PNG[0]), ("0.cls", b"dog")], {}, "of '0': the index of a class, .* 'dog' came; say"),
        ([("0.png", PNG[0]), ("0.cls", b"1.0")], {}, "'1.0' came"),
        ([("0.png", PNG[0]), ("0.cls", b"-1")], {}, "'-1' came"),
        ([("0.png", PNG[0]), ("0.cls", b"")], {}, "'' came"),
        ([("0.png", PNG[0]), ("0.cls", b"\xff")], {}, "text in UTF-8 was expected"),
        ([("0.png", PNG[0]), ("0.cls", bytes(2 << 20))], {}, "up to 1 MiB was expected"),
        ([("0.png", PNG[0]), ("0.json", b"{}")], {"label_field": "y"}, "JSON with a field 'y' was expected"),
        ([("0.png", PNG[0]), ("0.json", b"[" * 100000)], {"label_field": "y"}, "JSON with a field 'y' was expected"),
        ([("0.png", PNG[0]), ("0.json", b'{"y": 1.5}')], {"label_field": "y"}, "an integer was expected, float came"),
        ([("0.png", PNG[0]), ("0.json", b'{"y": true}')], {"label_field": "y"}, "an integer was expected, bool came"),
        (WHOLE, {"class_names": ("a", "b")}, r"labels in 0\.\.1 were expected, 0\.\.2 came"),
        (WHOLE, {"class_names": ("a", "b", "a")}, "names that differ were expected in class_names"),
        (WHOLE, {"class_names": Path("nowhere.txt")}, "a text with a class in each line was expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path: Path, entries: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(shard(tmp_path / "val.tar", entries), **more)
    assert "\n" not in str(error.value)


def test_a_key_in_two_shards_is_an_error(tmp_path: Path) -> None:
    for name in ("0.tar", "1.tar"):
        shard(tmp_path / "val" / name, WHOLE)
    with pytest.raises(DataError, match=r"'a/0' has two: 0\.tar and 1\.tar"):
        read(tmp_path / "val")


@pytest.mark.parametrize("cut", [512, 700, 1024 + 512, 2048, 3000])
def test_a_tar_that_was_cut_is_an_error(tmp_path: Path, cut: int) -> None:
    """Also between two files, where Python's reader takes it for a whole one."""
    path = shard(tmp_path / "val.tar", WHOLE)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"shard 'val\.tar': a whole tar.* was expected"):
        read(path)


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    path = shard(tmp_path / "val.tar", WHOLE)
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        content[tar.getmembers()[2].offset] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="it is cut off or damaged at byte"):
        read(path)


def test_two_tars_in_one_file_are_an_error(tmp_path: Path) -> None:
    path, other = shard(tmp_path / "val.tar", WHOLE), shard(tmp_path / "b", [("2.png", PNG[2]), ("2.cls", b"1")])
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(DataError, match="one tar was expected, more follows its end"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"", b"no tar" * 200, gzip.compress(b"x", mtime=0)], ids=["empty", "text", "compressed"]
)
def test_another_file_is_no_shard(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "val.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"shard 'val\.tar': a whole tar, not compressed, was expected"):
        read(tmp_path / "val.tar")


def test_a_member_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "val.tar"
    info = tarfile.TarInfo("0.png")
    info.size = 2 << 30
    label = tarfile.TarInfo("0.cls")
    label.size = 1
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.PAX_FORMAT))
        file.seek(2 << 30, io.SEEK_CUR)
        file.write(label.tobuf(tarfile.PAX_FORMAT) + b"1".ljust(512, b"\0") + bytes(1024))
    with pytest.raises(DataError, match="image '0' of split 'val': a picture of up to 1 GiB was expected"):
        read(path)


def test_no_shards_are_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "*.tar", tmp_path / "none.tar"):
        with pytest.raises(DataError, match=r"shards \(\.tar\) were expected at .*, none came"):
            read(path)
