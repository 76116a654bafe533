"""Which class each logit stands for is said by somebody, or said to be taken on trust; never guessed in silence."""

from pathlib import Path

import numpy as np
import pytest

from case_monitor.dataset import load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit, NpzSplit, Preprocessing
from tests.dataset.test_load import noise, write_images

RGB = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def notes(folder: Path, names: list[str], logged: tuple[str, ...] | None) -> tuple[str, ...]:
    pixels = {name: [noise(u)] for u, name in enumerate(names)}
    raw = load_split(ImageFolderSplit(kind="image_folder", path=write_images(folder / "val", pixels)))
    return prepare(raw, logged, RGB)[0].notes


def test_an_order_that_nobody_named_is_said(tmp_path: Path) -> None:
    [note] = notes(tmp_path, ["bee", "ant"], None)
    assert note == (
        "Nobody has said which class each logit stands for: they are taken to be in the order of 'val', ant, bee. To "
        "confirm it, log class_names with the model (model_metadata), or give models.<name>.class_names, in the order "
        "of its logits."
    )


def test_an_order_that_was_named_needs_no_note(tmp_path: Path) -> None:
    assert notes(tmp_path, ["bee", "ant"], ("bee", "ant")) == ()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["ant", "bee", "Cat"], "class 0 is 'Cat' by their characters and 'ant' as people do"),
        ([str(u) for u in range(11)], "class 2 is '10' by their characters and '2' as people do"),
        (["class 2", "class 10"], "class 0 is 'class 10' by their characters and 'class 2' as people do"),
    ],
)
def test_names_that_are_sorted_in_two_ways_must_be_given(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(DataError, match=rf"^class names: the model has none, .*{said}; log class_names with the model"):
        notes(tmp_path, names, None)
    assert notes(tmp_path / "again", names, tuple(names)) == ()


def test_an_order_that_a_file_holds_is_no_order_of_names(tmp_path: Path) -> None:
    """Somebody wrote it down; that the model's is the same is taken on trust all the same."""
    images = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
    names = np.array(["class 2", "class 10", "Class 1"])
    np.savez(tmp_path / "val.npz", images=images, labels=[0, 1, 2], class_names=names)
    raw = load_split(NpzSplit(kind="npz", path=tmp_path / "val.npz"))
    [note] = prepare(raw, None, Preprocessing(mean=(0.5,), std=(0.5,)))[0].notes
    assert note.startswith("Nobody has said which class each logit stands for")


def test_without_any_names_there_is_no_order_to_mistake(tmp_path: Path) -> None:
    """Labels are numbers of logits."""
    np.savez(tmp_path / "val.npz", images=np.arange(32, dtype=np.uint8).reshape(2, 4, 4), labels=[0, 1])
    raw = load_split(NpzSplit(kind="npz", path=tmp_path / "val.npz"))
    assert prepare(raw, None, Preprocessing(mean=(0.5,), std=(0.5,)))[0].notes == ()
