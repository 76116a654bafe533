"""Images that cannot be read: none is left out unless so many may be, and each that is is named."""

from pathlib import Path

import pytest

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit, TableSplit
from tests.dataset.test_load import RGB, all_of, noise, write_images


@pytest.fixture
def val(tmp_path: Path) -> Path:
    """Six pictures, two of them broken."""
    write_images(tmp_path / "val", {"ant": [noise(i) for i in range(3)], "bee": [noise(i) for i in range(3, 6)]})
    (tmp_path / "val" / "ant" / "1.png").write_bytes(b"no picture")
    file = tmp_path / "val" / "bee" / "0.png"
    file.write_bytes(file.read_bytes()[:60])
    return tmp_path / "val"


def read(val: Path, unreadable: int) -> RawSplit:
    return load_split(ImageFolderSplit(kind="image_folder", path=val, unreadable=unreadable))


@pytest.mark.parametrize("allowed", [0, 1])
def test_more_than_may_be_left_out_is_an_error(val: Path, allowed: int) -> None:
    with pytest.raises(DataError) as error:
        read(val, allowed)
    said = str(error.value)
    assert said.startswith("image 'ant/1.png' of split 'val' cannot be read: its format cannot be identified")
    assert "(1 other images cannot be read either: bee/0.png)" in said
    assert said.endswith("mend them, or leave such out by split.unreadable: 2")
    assert ("split.unreadable allows 1" in said) == (allowed == 1)


def test_those_left_out_are_named_and_the_others_stay_in_their_places(val: Path) -> None:
    raw = read(val, 2)
    assert raw.sample_ids == ("ant/0.png", "ant/2.png", "bee/1.png", "bee/2.png")
    assert raw.labels.tolist() == [0, 0, 1, 1]
    [note] = raw.notes
    assert note.startswith("2 of 6 images of 'val' cannot be read and were left out: ant/1.png (its format")
    shown = prepare(raw, ("ant", "bee"), RGB)[1]
    expected = [noise(i).getpixel((0, 0)) for i in (0, 2, 4, 5)]
    assert [tuple(p) for p in (all_of(shown)[:, :, 0, 0] * 255).round().int().tolist()] == expected


def test_the_split_is_that_of_the_images_that_are_left(val: Path) -> None:
    left = read(val, 2)
    for name in ("ant/1.png", "bee/0.png"):
        (val / name).unlink()
    assert read(val, 0).digest == left.digest


def test_a_class_of_which_nothing_is_left_is_named(val: Path) -> None:
    for i in range(3):
        (val / "bee" / f"{i}.png").write_bytes(b"nothing")
    notes = prepare(read(val, 4), ("ant", "bee"), RGB)[0].notes
    assert any("1 of 2 classes have no image" in note for note in notes)


def test_a_choice_that_is_to_be_made_is_nothing_unreadable(val: Path) -> None:
    """Somebody has to decide on which background a transparent picture is: leaving it out would hide that."""
    noise(1, (6, 6, 4)).save(val / "bee" / "3.png")
    with pytest.raises(DataError, match=r"^image 'bee/3\.png' of split 'val': an opaque picture was expected"):
        read(val, 5)


def test_a_file_that_a_table_names_and_is_not_there(val: Path) -> None:
    (val / "t.csv").write_text("path,label\nant/0.png,ant\nant/9.png,ant\n")
    raw = load_split(TableSplit(kind="table", path=val / "t.csv", unreadable=1))
    assert raw.notes == (
        "1 of 2 images of 't' cannot be read and were left out: ant/9.png (No such file or directory).",
    )


def test_what_is_said_is_the_same_every_time(val: Path) -> None:
    """Notes are stored with the verdict."""
    assert read(val, 2).notes == read(val, 2).notes
    assert "0x" not in read(val, 2).notes[0]


def test_nothing_left_is_an_error(val: Path) -> None:
    for file in val.rglob("*.png"):
        file.write_bytes(b"nothing")
    with pytest.raises(DataError, match="images were expected, none came"):
        read(val, 6)
