"""A split of some of the model's classes: only where that is declared, and said with every verdict."""

from pathlib import Path

import numpy as np
import pytest

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import FetchedSplit, ImageFolderSplit, NpzSplit, declares_subset
from tests.dataset.test_load import GREY, RGB, noise, write_images

MODEL = ("emu", "dog", "cow", "cat", "bee")


def folder(path: Path, *names: str, classes: str = "subset") -> RawSplit:
    if not (path / "val").exists():
        write_images(path / "val", {name: [noise(i), noise(i + 50)] for i, name in enumerate(names)})
    return load_split(ImageFolderSplit(kind="image_folder", path=path / "val", classes=classes))


def archive(path: Path, labels: list[int]) -> RawSplit:
    np.savez(path / "val.npz", images=np.arange(len(labels) * 4, dtype=np.uint8).reshape(-1, 2, 2), labels=labels)
    return load_split(NpzSplit(kind="npz", path=path / "val.npz", classes="subset"))


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    split, source = prepare(folder(tmp_path, "bee", "cat", "dog"), MODEL, RGB)
    assert split.class_names == MODEL
    assert source.target.tolist() == [4, 4, 3, 3, 1, 1]
    assert split.notes == (
        "This verdict is about 3 of the model's 5 classes ALONE: 'val' is declared to hold a subset of them "
        "(split.classes).",
        "2 of 5 classes have no image in 'val'; nothing is known of them: emu, cow.",
    )


def test_what_is_not_declared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="number of classes: the data set 'val' has 3, the model has 5"):
        prepare(folder(tmp_path, "bee", "cat", "dog", classes="all"), MODEL, RGB)


def test_a_declared_split_of_all_classes_is_as_another(tmp_path: Path) -> None:
    declared, plain = (folder(tmp_path, *MODEL, classes=classes) for classes in ("subset", "all"))
    assert prepare(declared, MODEL, RGB)[0] == prepare(plain, MODEL, RGB)[0]


def test_a_class_without_images_is_not_counted(tmp_path: Path) -> None:
    folder(tmp_path, "bee", "cat")
    (tmp_path / "val" / "dog").mkdir()
    notes = prepare(folder(tmp_path), MODEL, RGB)[0].notes
    assert notes[0].startswith("This verdict is about 2 of the model's 5 classes ALONE")


def test_a_class_that_the_model_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a subset of the model's was expected, only the data set 'val' has \['Cat'\]"):
        prepare(folder(tmp_path, "bee", "Cat"), MODEL, RGB)


def test_a_model_without_names_is_an_error(tmp_path: Path) -> None:
    """Three folders of a model of five classes would be taken for its first three."""
    with pytest.raises(DataError, match=r"and the model has no class names; log class_names"):
        prepare(folder(tmp_path, "bee", "cat"), None, RGB)


def test_a_name_that_stands_twice_cannot_be_matched(tmp_path: Path) -> None:
    raw = folder(tmp_path, "bee", "cat")
    with pytest.raises(DataError, match="'cat' stands twice"):
        prepare(raw, ("cat", "bee", "cat"), RGB)
    assert prepare(raw, ("cow", "bee", "cow", "cat"), RGB)[1].target.tolist() == [1, 1, 3, 3]


def test_indices_are_those_of_the_model(tmp_path: Path) -> None:
    split, source = prepare(archive(tmp_path, [0, 2, 2]), MODEL, GREY)
    assert source.target.tolist() == [0, 2, 2]
    assert split.notes[0].startswith("This verdict is about 2 of the model's 5 classes ALONE")
    with pytest.raises(DataError, match="'val' has labels up to 5, the model has 5"):
        prepare(archive(tmp_path, [0, 5]), MODEL, GREY)


def test_it_can_be_declared_of_what_is_downloaded() -> None:
    of = [
        FetchedSplit(kind="fetched", url="s3://a/b", format="npz", options=options)
        for options in ({"classes": "subset"}, {})
    ]
    assert [declares_subset(split) for split in of] == [True, False]
    assert of[0].inside(Path("x")).classes == "subset"
