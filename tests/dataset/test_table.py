"""Tables of paths and labels: each file has the class that its row says, or one line says what is wrong."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import TableSplit
from tests.dataset.test_load import RGB, all_of, noise, write_images

ROWS = (("a/0.png", "dog"), ("a/1.png", "cat"), ("b/0.png", "dog"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three pictures, in folders that say nothing of their classes."""
    return write_images(tmp_path, {"a": [noise(1), noise(2)], "b": [noise(3)]})


def table(home: Path, content: Any = ROWS, name: str = "val.csv", header: Any = ("path", "label"), **more: Any) -> Any:
    """A table of rows, or of the text or bytes that are given."""
    file = home / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, pd.DataFrame):
        content.to_parquet(file)
    else:
        with file.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([header, *content])
    return load_split(TableSplit(kind="table", path=file, **more))


def of_parquet(home: Path, **columns: list[Any]) -> RawSplit:
    more = {"labels": "indices"} if isinstance(columns["label"][0], int | float) else {}
    return table(home, pd.DataFrame(columns), "val.parquet", **more)


def test_labels_are_those_of_the_rows(home: Path) -> None:
    raw = table(home)
    assert (raw.name, raw.class_names) == ("val", ("cat", "dog"))
    assert raw.sample_ids == ("a/0.png", "a/1.png", "b/0.png")
    assert raw.labels.tolist() == [1, 0, 1]
    assert raw.notes == ()
    split, source = prepare(raw, ("dog", "cat"), RGB)
    assert source.target.tolist() == [0, 1, 0]
    assert (all_of(source)[1, :, 0, 0] * 255).round().tolist() == np.array(noise(2))[0, 0].tolist()
    assert split.size == 3


def test_every_way_to_write_it_is_the_same_split(home: Path) -> None:
    """The digest of a split is of names, contents and targets, whatever file they were in."""
    lines = [("path", "label"), *ROWS]
    written = {
        "comma": b"\r\n".join(",".join(line).encode() for line in lines),
        "of an old Mac": b"\r".join(",".join(line).encode() for line in lines),
        "semicolon": b"\n".join(";".join(line).encode() for line in lines) + b"\n\n",
        "tab": b"\n".join("\t".join(line).encode() for line in lines),
        "marked": b"\xef\xbb\xbf" + b"\n".join(",".join(line).encode() for line in lines),
        "indexed": b"\n".join(f"{i},{path},{label}".encode() for i, (path, label) in enumerate(lines)).replace(
            b"0,path", b",path"
        ),
        "absolute": b"path,label\n" + b"\n".join(f"{home / path},{label}".encode() for path, label in ROWS),
        "dotted": b"path,label\n" + b"\n".join(f"./{path},{label}".encode() for path, label in ROWS),
    }
    digests = {prepare(table(home, content), ("cat", "dog"), RGB)[0].digest for content in written.values()}
    paths, labels = zip(*ROWS, strict=True)
    digests.add(prepare(of_parquet(home, path=list(paths), label=list(labels)), ("cat", "dog"), RGB)[0].digest)
    categories = pd.DataFrame({"path": paths, "label": pd.Categorical(labels, categories=["zebra", "dog", "cat"])})
    digests.add(prepare(table(home, categories, "val.parquet"), ("cat", "dog"), RGB)[0].digest)
    assert len(digests) == 1


def test_a_path_a_label_and_a_content_change_the_digest(home: Path) -> None:
    def digest(raw: RawSplit) -> str:
        return prepare(raw, ("cat", "dog"), RGB)[0].digest

    before = digest(table(home))
    assert digest(table(home, [("a/0.png", "cat"), *ROWS[1:]])) != before
    (home / "c.png").write_bytes((home / "a" / "0.png").read_bytes())
    assert digest(table(home, [("c.png", "dog"), *ROWS[1:]])) != before
    noise(9).save(home / "a" / "0.png")
    assert digest(table(home)) != before


def test_columns_and_folder_can_be_said(home: Path, tmp_path: Path) -> None:
    (home / "tables").mkdir()
    header = ("id", "species", "file")
    rows = [(i, label, path.removeprefix("a/")) for i, (path, label) in enumerate(ROWS[:2])]
    raw = table(home, rows, "tables/v.csv", header, images=home / "a", path_column="file", label_column="species")
    assert (raw.sample_ids, raw.labels.tolist()) == (("0.png", "1.png"), [1, 0])


def test_indices_are_the_models_own(home: Path) -> None:
    rows = [("a/0.png", 2), ("a/1.png", 0), ("b/0.png", 1)]
    for raw in (
        table(home, rows, labels="indices"),
        of_parquet(home, path=[path for path, _ in rows], label=[u for _, u in rows]),
    ):
        assert raw.class_names is None
        assert raw.labels.tolist() == [2, 0, 1]
        assert prepare(raw, ("x", "y", "z"), RGB)[0].class_names == ("x", "y", "z")


def test_names_that_are_numbers_are_sorted_in_two_ways(home: Path) -> None:
    """What is meant by 10, its owner says."""
    raw = table(home, [("a/0.png", "2"), ("a/1.png", "10"), ("b/0.png", "1")])
    assert raw.class_names == ("1", "10", "2")
    with pytest.raises(DataError, match="class 1 is '10' by their characters and '2' as people do"):
        prepare(raw, None, RGB)


def test_indices_from_one_do_not_fit_the_model(home: Path) -> None:
    raw = table(home, [("a/0.png", 1), ("a/1.png", 2), ("b/0.png", 3)], labels="indices")
    with pytest.raises(DataError, match=r"'val' has 4 \(by its highest label; .*the model has 3"):
        prepare(raw, ("x", "y", "z"), RGB)


def test_a_file_that_is_named_twice_counts_once(home: Path) -> None:
    raw = table(home, [*ROWS, ("./a/0.png", "dog"), ("a//1.png", "cat")])
    assert raw.sample_ids == ("a/0.png", "a/1.png", "b/0.png")
    assert raw.notes == ("2 rows of 'val' name a file again: each counts once.",)


def test_names_with_blanks_quotes_and_accents(home: Path) -> None:
    name = 'großer Hund, "weiß".png'
    noise(5).save(home / name)
    raw = table(home, [*ROWS, (name, "Bär, braun")])
    assert raw.sample_ids[3] == name
    assert raw.class_names == ("Bär, braun", "cat", "dog")


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (b"file,label\na/0.png,dog\n", {}, "columns 'path' and 'label' were expected, 'file', 'label' came; say"),
        (b"a/0.png,dog\na/1.png,cat\n", {}, "were expected, 'a/0.png', 'dog' came"),
        (b"", {}, "columns 'path' and 'label' were expected"),
        (b"path, label\na/0.png, dog\n", {}, "were expected, 'path', ' label' came"),
        (b"path,label\n", {}, "images were expected, none came"),
        (b"path,label,label\na/0.png,dog,cat\n", {}, "column 'label' was expected once"),
        (b"path,label\na/0.png,\n", {}, "line 2: a value in column 'label' was expected, none came"),
        (b"path,label\na/0.png,nan\n", {}, "line 2: a value in column 'label' was expected, 'nan' came"),
        (b"\npath,label\na/0.png,dog\n", {}, "were expected, nothing came"),
        (b"path,label\nhttps://host/a.png,dog\n", {}, "cannot be read: No such file"),
        (b"path,label\n ,dog\n", {}, "line 2: a value in column 'path' was expected, none came"),
        (b"path,label\na/0.png\n", {}, "2 cells were expected in line 2, 1 came"),
        (b"path,label\na/0.png,dog, brown\n", {}, "2 cells were expected in line 2, 3 came; quote a value"),
        (b'path,label\n"a/0.png,dog\n', {}, "unexpected end of data"),
        (b"path,label\na/0.png,dog \n", {}, "line 2: the name of a class was expected, 'dog ', with blanks"),
        ("path,label\na/0.png,hünd\n".encode("latin-1"), {}, "a table in UTF-8 was expected"),
        ("path,label\na/0.png,dog\n".encode("utf-16"), {}, "a table in UTF-8 was expected"),
        (b"path,label\n../a/0.png,dog\n", {}, "line 2: a file below .* was expected, '../a/0.png' came; say images"),
        (b"path,label\na/../../x.png,dog\n", {}, "a file below .* was expected"),
        (b"path,label\n/etc/passwd,dog\n", {}, "a file below .* was expected, '/etc/passwd' came"),
        (b"path,label\na/0.png,dog\na/0.png,cat\n", {}, "'a/0.png' has 'dog' in line 2 and 'cat' in line 3"),
        (b"path,label\na/0.png,dog\na/./0.png,cat\n", {}, "'a/0.png' has 'dog' in line 2 and 'cat' in line 3"),
        (b"path,label\na/7.png,dog\nb/8.png,dog\n", {}, "'a/7.png' .* cannot be read: No such file .*b/8"),
        (b"path,label\na,dog\n", {}, "image 'a' of split 'val' cannot be read: it is no regular file"),
        (b"path,label\nval.csv,dog\n", {}, "image 'val.csv' of split 'val' cannot be read: its format"),
        (b"path,label\na/0.png,dog\n", {"labels": "indices"}, "index of a class, from 0, was expected, 'dog' came"),
        (b"path,label\na/0.png,1.0\n", {"labels": "indices"}, "'1.0' came"),
        (b"path,label\na/0.png,-1\n", {"labels": "indices"}, "'-1' came"),
        ("path,label\na/0.png,٣\n".encode(), {"labels": "indices"}, "'٣' came"),
        (b"path,label\na/0.png,99999999999999999999\n", {"labels": "indices"}, "'99999999999999999999' came"),
        ("path,label\na/0.png,é\na/1.png,e\u0301\n".encode(), {}, "two ways to write '\u00e9' came"),
        (b"path,label\na/0.png,dog\n", {"images": Path("nowhere")}, "folder of the images was expected at nowhere"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(home: Path, content: bytes, more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        table(home, content, **more)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"path": ["a/0.png", None], "label": ["dog", "cat"]}, "row 1: a value in column 'path' was expected"),
        ({"path": ["a/0.png", "a/1.png"], "label": ["dog", None]}, "row 1: a value in column 'label' was expected"),
        ({"path": ["a/0.png", "a/1.png"], "label": [0.0, 1.0]}, "column 'label': integers was expected, double came"),
        ({"path": ["a/0.png", "a/1.png"], "label": [True, False]}, "integers was expected, bool came"),
        ({"path": [1, 2], "label": ["dog", "cat"]}, "column 'path': text was expected, int64 came"),
        ({"file": ["a/0.png"], "label": ["dog"]}, "columns 'path' and 'label' were expected, 'file', 'label' came"),
    ],
)
def test_what_is_wrong_with_parquet_is_one_line(home: Path, columns: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        of_parquet(home, **columns)


def test_integers_that_nobody_called_indices_are_refused(home: Path) -> None:
    with pytest.raises(DataError, match="text was expected, int64 came; say labels: indices"):
        table(home, pd.DataFrame({"path": ["a/0.png"], "label": [1]}), "val.parquet")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("val.parquet", b"path,label\n", "no Parquet can be read"),
        ("val.xlsx", b"PK", "a table was expected at .*, '.xlsx' came"),
    ],
)
def test_another_file_is_no_table(home: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table(home, content, name)


def test_a_missing_table_is_an_error(home: Path) -> None:
    with pytest.raises(DataError, match=r"a table was expected at .*none\.csv, no file is there"):
        load_split(TableSplit(kind="table", path=home / "none.csv"))
