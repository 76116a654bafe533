"""Classes of a model that count as fewer: images of either are matched by name, whatever the model's order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.class_groups import counts_as, group_classes
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit, NpzSplit
from tests.dataset.test_load import GREY, RGB, noise, write_images

CLASS_MAP = {"siamese": "cat", "tabby": "cat", "pug": "dog", "emu": "bird", "collie": "dog"}
MODEL = ("pug", "tabby", "emu", "collie", "siamese")
GROUPS = (1, 0, 2, 1, 0)


def folder(path: Path, *names: str, classes: str = "all") -> RawSplit:
    write_images(path / "val", {name: [noise(i), noise(i + 50)] for i, name in enumerate(names)})
    return load_split(ImageFolderSplit(kind="image_folder", path=path / "val", classes=classes))


def test_groups_are_in_the_order_of_the_map_whatever_the_models_is() -> None:
    """By hand."""
    found = group_classes(MODEL, CLASS_MAP)
    assert (found.names, found.groups) == (("cat", "dog", "bird"), GROUPS)
    other = group_classes(MODEL[::-1], CLASS_MAP)
    assert (other.names, other.groups) == (("cat", "dog", "bird"), GROUPS[::-1])
    assert group_classes(("tabby", "emu"), CLASS_MAP).names == ("cat", "bird")  # nothing counts as a dog


def test_a_map_that_lacks_classes_is_an_error() -> None:
    with pytest.raises(DataError, match="all 3 classes of the model were expected, 2 are missing: 'x', 'y'"):
        group_classes(("x", "tabby", "y"), CLASS_MAP)
    with pytest.raises(DataError, match="two or more classes were expected to be left, only 'cat' is"):
        group_classes(("siamese", "tabby"), CLASS_MAP)


def test_a_name_counts_as_what_it_stands_for() -> None:
    assert counts_as("tabby", CLASS_MAP) == "cat"
    assert counts_as("cat", CLASS_MAP) == "cat"
    assert counts_as("fish", CLASS_MAP) is None
    assert counts_as("cat", {"cat": "cat", "lion": "cat"}) == "cat"
    with pytest.raises(
        DataError, match="'cat' is a class of the model that counts as 'pet', and one that others count"
    ):
        counts_as("cat", {"cat": "pet", "lion": "cat"})


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (("bird", "cat", "dog"), [2, 2, 0, 0, 1, 1]),  # as they are judged
        (("collie", "emu", "pug", "siamese", "tabby"), [1, 1, 2, 2, 1, 1, 0, 0, 0, 0]),  # as the model tells them apart
        (("bird", "collie", "pug", "tabby"), [2, 2, 1, 1, 1, 1, 0, 0]),  # some so, some so
    ],
)
def test_images_of_either_kind_of_class_are_matched(tmp_path: Path, names: tuple[str, ...], targets: list[int]) -> None:
    split, source = prepare(folder(tmp_path, *names), MODEL, RGB, 0, CLASS_MAP)
    assert (split.class_names, split.groups) == (("cat", "dog", "bird"), GROUPS)
    assert source.target.tolist() == targets
    assert split.notes == ("The model's 5 classes are judged as 3 (class_map), not told apart within these.",)


def test_a_class_that_has_no_image_is_an_error_unless_that_is_declared(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="number of classes: the data set 'val' has 2, the model has 3"):
        prepare(folder(tmp_path / "a", "cat", "pug"), MODEL, RGB, 0, CLASS_MAP)
    split, source = prepare(folder(tmp_path / "b", "cat", "pug", classes="subset"), MODEL, RGB, 0, CLASS_MAP)
    assert source.target.tolist() == [0, 0, 1, 1]
    assert "about 2 of the model's 3 classes ALONE" in split.notes[0]


def test_what_is_neither_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"class_map: classes of the model, or that they count as, .*\['fish'\] are neither"
    ):
        prepare(folder(tmp_path, "bird", "cat", "dog", "fish"), MODEL, RGB, 0, CLASS_MAP)


def test_a_class_that_the_model_has_never_heard_of_is_an_error_although_the_map_has_it(tmp_path: Path) -> None:
    """As without a map: nobody has said that a model without lions is to know them for cats."""
    with pytest.raises(DataError, match=r"\['lion'\] are neither"):
        prepare(folder(tmp_path, "bird", "cat", "dog", "lion"), MODEL, RGB, 0, CLASS_MAP | {"lion": "cat"})


def test_without_names_of_the_model_the_data_sets_are_its_own(tmp_path: Path) -> None:
    split, source = prepare(folder(tmp_path / "a", *sorted(MODEL)), None, RGB, 0, CLASS_MAP)
    assert split.groups == tuple(GROUPS[MODEL.index(name)] for name in sorted(MODEL))
    assert source.target.tolist() == [1, 1, 2, 2, 1, 1, 0, 0, 0, 0]
    assert any(note.startswith("Nobody has said which class each logit stands for") for note in split.notes)
    with pytest.raises(
        DataError, match="the model has no class names, and those of the data set 'val' are not its own"
    ):
        prepare(folder(tmp_path / "b", "bird", "cat", "dog"), None, RGB, 0, CLASS_MAP)


def test_numbers_are_the_models_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "val.npz", images=np.zeros((5, 2, 2), dtype=np.uint8), labels=np.arange(5))
    raw = load_split(NpzSplit(kind="npz", path=tmp_path / "val.npz"))
    split, source = prepare(raw, MODEL, GREY, 0, CLASS_MAP)
    assert (split.class_names, source.target.tolist()) == (("cat", "dog", "bird"), list(GROUPS))
    fewer = replace(raw, labels=np.array([0, 1, 2, 0, 1]))  # of which nobody knows what they are
    with pytest.raises(DataError, match="number of classes: the data set 'val' has 3"):
        prepare(fewer, MODEL, GREY, 0, CLASS_MAP)


def test_another_map_is_another_split(tmp_path: Path) -> None:
    """As no evidence that was stored under one says anything about the other."""
    raw = folder(tmp_path, *sorted(MODEL))
    other = {**CLASS_MAP, "collie": "cat"}
    one, two = (prepare(raw, MODEL, RGB, 0, class_map)[0] for class_map in (CLASS_MAP, other))
    again, plain = prepare(raw, MODEL, RGB, 0, dict(CLASS_MAP))[0], prepare(raw, MODEL, RGB)[0]
    assert one.digest == again.digest
    assert len({one.digest, two.digest, plain.digest}) == 3
    assert len({one.labels_digest, two.labels_digest, plain.labels_digest}) == 3
    assert one.images_digest == two.images_digest == plain.images_digest


def test_a_map_of_each_class_to_itself_changes_no_class(tmp_path: Path) -> None:
    raw = folder(tmp_path, *sorted(MODEL))
    split, source = prepare(raw, MODEL, RGB, 0, {name: name for name in MODEL})
    plain, plainly = prepare(raw, MODEL, RGB)
    assert (split.class_names, split.groups) == (plain.class_names, (0, 1, 2, 3, 4))
    assert source.target.tolist() == plainly.target.tolist()
