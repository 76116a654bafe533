"""Images of several classes: each is asked about one of its own, whatever holds it and whoever asks."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.dataset.several_labels import asked_labels
from case_monitor.domain.errors import DataError
from case_monitor.settings import FunctionSplit, HuggingfaceSplit, NpzSplit, TableSplit, WebdatasetSplit
from tests.dataset.test_distinct import GREY
from tests.dataset.test_huggingface import encoded
from tests.dataset.test_load import RGB, noise, write_images
from tests.dataset.test_webdataset import shard

NAMES = ("cat", "dog", "owl", "pig")
SETS = ({"dog", "cat"}, {"owl"}, {"pig", "owl", "cat"}, set(), {"dog", "pig"})
"""Of five images."""


def indices(names: tuple[str, ...] = NAMES) -> list[set[int]]:
    return [{names.index(name) for name in of_image} for of_image in SETS]


def rows(names: tuple[str, ...] = NAMES) -> np.ndarray:
    return np.array([[name in of_image for name in names] for of_image in SETS], dtype=np.int64)


def archive(path: Path, labels: np.ndarray, names: Any = NAMES, images: np.ndarray | None = None) -> RawSplit:
    pictures = np.arange(len(labels) * 16, dtype=np.uint8).reshape(len(labels), 4, 4) if images is None else images
    more = {} if names is None else {"class_names": np.array(names)}
    np.savez(path / "val.npz", images=pictures, labels=labels, **more)
    return load_split(NpzSplit(kind="npz", path=path / "val.npz"))


def told(raw: RawSplit) -> list[set[str]]:
    """All classes of each image, by name."""
    assert raw.class_names is not None
    both = zip(raw.labels.tolist(), raw.also, strict=True)
    return [{raw.class_names[u] for u in (asked, *others)} for asked, others in both]


@pytest.mark.parametrize("labels", [rows(), rows().astype(bool), rows().astype(np.float32), rows().astype(np.uint8)])
def test_an_archive_has_a_column_for_each_class(tmp_path: Path, labels: np.ndarray) -> None:
    raw = archive(tmp_path, labels)
    assert raw.sample_ids == ("000000", "000001", "000002", "000004")  # one is of no class
    assert told(raw) == [of_image for of_image in SETS if of_image]
    assert all(asked not in others for asked, others in zip(raw.labels.tolist(), raw.also, strict=True))
    assert raw.notes == ("1 of 5 images of 'val' are of no class and were left out.",)
    assert [int(np.asarray(raw.images[i][0])[0, 0]) for i in range(4)] == [0, 16, 32, 64]


def test_every_kind_of_split_says_the_same(tmp_path: Path) -> None:
    """Classes in one cell, in a list, in columns: the classes are the same, by name, and the same is asked."""
    pictures = [noise(i) for i in range(5)]
    write_images(tmp_path / "files", {"x": pictures})
    cells = ["|".join(sorted(of_image)) for of_image in SETS]
    lines = [f"x/{i}.png,{cell}" for i, cell in enumerate(cells)]
    (tmp_path / "files" / "val.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    table = load_split(TableSplit(kind="table", path=tmp_path / "files" / "val.csv", label_separator="|"))
    cells_of = [" | ".join(str(u) for u in sorted(of_image)) for of_image in indices()]
    lines = [f"x/{i}.png,{cell}" for i, cell in enumerate(cells_of)]
    (tmp_path / "files" / "numbers.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    spec = TableSplit(kind="table", path=tmp_path / "files" / "numbers.csv", label_separator="|", labels="indices")
    numbers = load_split(spec)
    png = [encoded(picture) for picture in pictures]
    label = datasets.Sequence(datasets.ClassLabel(names=list(NAMES)))
    columns = {"image": [{"bytes": p, "path": None} for p in png], "label": [sorted(s) for s in indices()]}
    features = datasets.Features({"image": datasets.Image(), "label": label})
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(tmp_path / "hf"))
    hugging = load_split(HuggingfaceSplit(kind="huggingface", path=tmp_path / "hf"))
    texts = datasets.Features({"image": datasets.Image(), "label": datasets.Sequence(datasets.Value("string"))})
    columns |= {"label": [sorted(s) for s in SETS]}
    datasets.Dataset.from_dict(columns, features=texts).save_to_disk(str(tmp_path / "text"))
    hugging_text = load_split(HuggingfaceSplit(kind="huggingface", path=tmp_path / "text"))
    entries = [(f"{i:06d}.png", content) for i, content in enumerate(png)]
    entries += [(f"{i:06d}.json", json.dumps({"classes": sorted(s)}).encode()) for i, s in enumerate(SETS)]
    shard(tmp_path / "0.tar", entries)
    web = load_split(WebdatasetSplit(kind="webdataset", path=tmp_path / "0.tar", label_field="classes", labels="names"))
    for raw in (table, hugging, hugging_text, web):
        assert told(raw) == [of_image for of_image in SETS if of_image], raw.name
        assert raw.images_digest == table.images_digest
        assert any("1 of 5 images" in note for note in raw.notes)
    assert [{u, *others} for u, others in zip(numbers.labels.tolist(), numbers.also, strict=True)] == [
        s for s in indices() if s
    ]
    same_names = (hugging, hugging_text, web)  # the table calls its images by their files
    asked = [[raw.class_names[u] for u in raw.labels.tolist()] for raw in same_names if raw.class_names]
    assert asked[0] == asked[1] == asked[2]
    assert hugging.labels_digest == web.labels_digest


class Vectors(Dataset[Any]):
    classes = NAMES

    def __init__(self, labels: list[Any], classes: Any = NAMES) -> None:
        self.labels, self.classes = labels, classes

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        return torch.full((1, 4, 4), index, dtype=torch.uint8), self.labels[index]


def vectors(kind: str = "tensor") -> Vectors:
    """What a function of a team's own returns."""
    values = rows()
    odd: dict[str, list[Any]] = {
        "lengths": [torch.ones(4), torch.ones(3)],
        "mixed": [torch.ones(4), 2],
        "indices": [[0, 2], [3, 1]],
        "halves": [torch.full((4,), 0.5)] * 3,
        "one": [torch.tensor([3]), torch.tensor([0])],
    }
    kinds = {"tensor": [*torch.from_numpy(values)], "array": [*values], "list": values.tolist()}
    return Vectors((kinds | odd)[kind])


@pytest.mark.parametrize("kind", ["tensor", "array", "list"])
def test_a_function_gives_a_number_for_each_class(kind: str) -> None:
    spec = FunctionSplit(
        kind="function", function="tests.dataset.test_several_labels:vectors", arguments={"kind": kind}
    )
    raw = load_split(spec)
    assert told(raw) == [of_image for of_image in SETS if of_image]
    assert [int(raw.images[i][0][0, 0, 0]) for i in range(4)] == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (
            "lengths",
            r"labels of as many numbers as there are classes were expected, 4 for each image; \['3', '4'\] came",
        ),
        ("mixed", r"\['4', 'None'\] came"),
        ("indices", r"4 for each image; \['2'\] came"),
        ("halves", r"a row of 0 and 1 for each was expected, one for each class; \(3, 4\) of float64 came"),
    ],
)
def test_other_labels_of_a_function_are_an_error(kind: str, problem: str) -> None:
    spec = FunctionSplit(
        kind="function", function="tests.dataset.test_several_labels:vectors", arguments={"kind": kind}
    )
    with pytest.raises(DataError, match=problem):
        load_split(spec)


def test_a_tensor_of_one_index_is_the_index() -> None:
    spec = FunctionSplit(
        kind="function", function="tests.dataset.test_several_labels:vectors", arguments={"kind": "one"}
    )
    raw = load_split(spec)
    assert (raw.labels.tolist(), raw.also) == ([3, 0], ())


@pytest.mark.parametrize(
    ("labels", "names", "problem"),
    [
        (rows() * 2, NAMES, "a row of 0 and 1 for each was expected"),
        (rows()[:, :1], NAMES[:1], r"\(5, 1\) of int64 came, a single column; write \(5,\) if each image is of one"),
        (rows().astype(str), NAMES, "a row of 0 and 1 for each was expected"),
        (np.where(rows(), np.nan, 0.0), NAMES, "a row of 0 and 1 for each was expected"),
        (rows(), NAMES[:3], "a name for each of 4 columns of labels was expected, 3 came"),
        (
            rows()[:, :, None],
            NAMES,
            r"integer labels \(5,\) were expected, \(5, 4, 1\) of int64 came; of images of sev",
        ),
        (np.zeros((5, 4), int), NAMES, "images were expected, none came; 5 of 5 images of 'val' are of no class"),
    ],
)
def test_other_columns_are_an_error(tmp_path: Path, labels: np.ndarray, names: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        archive(tmp_path, labels, names)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x/0.png,cat|", r"line 2: a class was expected around each '\|', none came"),
        ("x/0.png,cat|nan", r"line 2: a class was expected around each '\|', none came"),
        ("x/0.png,cat|cat", r"line 2: each class of an image once was expected, one came twice$"),
        ("x/0.png,nan", r"line 2: a value in column 'label' was expected, 'nan' came"),
        ("x/0.png,cat|dog\nx/0.png,cat", "put those of an image that is of several into one cell"),
    ],
)
def test_an_empty_label_beside_others_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    write_images(tmp_path, {"x": [noise(0)]})
    (tmp_path / "val.csv").write_text(f"path,label\n{text}\n", encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        load_split(TableSplit(kind="table", path=tmp_path / "val.csv", label_separator="|"))


def test_the_order_in_a_cell_is_no_matter_and_a_separator_that_is_nowhere_is_said(tmp_path: Path) -> None:
    write_images(tmp_path, {"x": [noise(0), noise(1)]})
    (tmp_path / "val.csv").write_text("path,label\nx/0.png,a|b\nx/0.png,b|a\nx/1.png,c\n", encoding="utf-8")
    raw = load_split(TableSplit(kind="table", path=tmp_path / "val.csv", label_separator="|"))
    assert told(raw) == [{"a", "b"}, {"c"}]
    assert raw.notes == ("1 rows of 'val' name a file again: each counts once.",)
    (tmp_path / "val.csv").write_text("path,label\nx/0.png,a|b\nx/1.png,c\n", encoding="utf-8")
    raw = load_split(TableSplit(kind="table", path=tmp_path / "val.csv", label_separator="/"))
    assert raw.notes[-1] == "No cell of 'val' has split.label_separator, '/', in it."


def of_lists(path: Path, lists: list[list[int]], feature: Any = None) -> RawSplit:
    feature = datasets.Sequence(feature or datasets.Value("int64"))
    columns = {"image": [{"bytes": encoded(noise(i)), "path": None} for i in range(len(lists))], "label": lists}
    features = datasets.Features({"image": datasets.Image(), "label": feature})
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(path / "hf"))
    return load_split(HuggingfaceSplit(kind="huggingface", path=path / "hf"))


def shards_of_lists(path: Path, lists: list[Any], **more: Any) -> RawSplit:
    entries = [(f"{i}.png", encoded(noise(i))) for i in range(len(lists))]
    entries += [(f"{i}.json", json.dumps({"c": of_image}).encode()) for i, of_image in enumerate(lists)]
    shard(path / "0.tar", entries)
    return load_split(WebdatasetSplit(kind="webdataset", path=path / "0.tar", label_field="c", **more))


@pytest.mark.parametrize("lists", [[[0, 1, 1, 0], [1, 0, 0, 0]], [[0, 1], [1, 0]], [[2, 3], [1, 1]]])
def test_a_number_for_each_class_is_no_list_of_classes(tmp_path: Path, lists: list[list[int]]) -> None:
    """Else every image would be of classes 0 and 1."""
    remedy = "a 0 or 1 for each class is for splits of kind npz or function"
    with pytest.raises(DataError, match=remedy):
        of_lists(tmp_path, lists)
    with pytest.raises(DataError, match=remedy):
        shards_of_lists(tmp_path, lists, class_names=NAMES)
    cells = [" ".join(map(str, of_image)) for of_image in lists]
    write_images(tmp_path, {"x": [noise(0), noise(1)]})
    (tmp_path / "val.csv").write_text(f"path,label\nx/0.png,{cells[0]}\nx/1.png,{cells[1]}\n", encoding="utf-8")
    with pytest.raises(DataError, match=remedy):
        load_split(TableSplit(kind="table", path=tmp_path / "val.csv", label_separator=" ", labels="indices"))


def test_classes_that_are_not_there_are_an_error_whatever_is_asked(tmp_path: Path) -> None:
    """-1 is how a `ClassLabel` says that it is missing; it would be the model's last class."""
    with pytest.raises(DataError, match=r"labels in 0\.\.3 were expected, -1\.\.2 came"):
        of_lists(tmp_path, [[-1, 1], [0], [2]], datasets.ClassLabel(names=list(NAMES)))
    with pytest.raises(DataError, match=r"labels in 0\.\.3 were expected, 0\.\.5 came"):
        shards_of_lists(tmp_path, [[0, 5], [1, 2]], class_names=NAMES)


def test_names_that_are_no_text_are_drawn_by(tmp_path: Path) -> None:
    asked = asked_labels("val", ["\ud800x", "caf\udce9"], [{0, 1}, {1, 2}], NAMES)
    assert len(asked.labels) == 2


def test_a_subset_of_the_classes_says_nothing_about_the_others(tmp_path: Path) -> None:
    raw = replace(archive(tmp_path, rows()), subset=True)
    with pytest.raises(DataError, match="whether an image is of one that nobody looked for is not known"):
        prepare(raw, (*NAMES, "eel"), GREY)


def test_without_a_separator_nothing_changes(tmp_path: Path) -> None:
    write_images(tmp_path, {"x": [noise(0), noise(1)]})
    (tmp_path / "val.csv").write_text("path,label\nx/0.png,cat|dog\nx/1.png,\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3: a value in column 'label' was expected, none came"):
        load_split(TableSplit(kind="table", path=tmp_path / "val.csv"))


def test_what_is_asked_hangs_on_the_name_of_the_image_alone() -> None:
    """Neither on the order of classes, nor on that of images; and every class of an image is as likely."""
    names = tuple(f"image {i}" for i in range(3000))
    sets = [{0, 1, 3}] * len(names)
    asked = asked_labels("val", names, sets, NAMES)
    turned = asked_labels("val", names[::-1], [{3 - u for u in s} for s in sets], NAMES[::-1])
    assert [NAMES[u] for u in asked.labels] == [NAMES[::-1][u] for u in turned.labels[::-1]]
    counts = Counter(asked.labels)
    assert set(counts) == {0, 1, 3}
    assert all(abs(count - 1000) < 4 * np.sqrt(3000 * 2 / 9) for count in counts.values())
    assert all({u, *others} == {0, 1, 3} for u, others in zip(asked.labels, asked.also, strict=True))


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    raw = archive(tmp_path, rows())
    one, same = prepare(raw, NAMES, GREY), prepare(raw, NAMES[::-1], GREY)
    assert one[1].excluded is not None
    assert same[1].excluded is not None
    np.testing.assert_array_equal(one[1].excluded, same[1].excluded[:, ::-1])
    np.testing.assert_array_equal(one[1].target, 3 - same[1].target)
    assert one[0].labels_digest == same[0].labels_digest
    whole = one[1].excluded.copy()
    whole[np.arange(4), one[1].target] = True
    np.testing.assert_array_equal(whole, rows()[[0, 1, 2, 4]].astype(bool))
    assert "are of 2.0 classes on average" in one[0].notes[0]


def test_columns_without_names_are_counted(tmp_path: Path) -> None:
    """The last column may have no image at all."""
    labels = np.pad(rows(), ((0, 0), (0, 1)))
    raw = archive(tmp_path, labels, None)
    assert prepare(raw, None, GREY)[0].class_names == ("0", "1", "2", "3", "4")
    with pytest.raises(DataError, match="the data set 'val' has 5, the model has 4"):
        prepare(raw, NAMES, GREY)


def test_another_label_beside_it_is_another_split(tmp_path: Path) -> None:
    """Though what is asked is the same."""
    raw = archive(tmp_path, rows())
    also = list(raw.also)
    also[1] = tuple(sorted({0, 1, 2, 3} - {int(raw.labels[1])})[:1])
    other = replace(raw, also=tuple(also))
    splits = [prepare(of, NAMES, GREY)[0] for of in (raw, other)]
    assert splits[0].digest != splits[1].digest
    assert splits[0].labels_digest != splits[1].labels_digest
    assert splits[0].images_digest == splits[1].images_digest


def test_images_of_every_class_are_left_out(tmp_path: Path) -> None:
    labels = rows()
    labels[1] = 1
    raw = archive(tmp_path, labels)
    split, source = prepare(raw, NAMES, GREY)
    assert source.sample_ids == ("000000", "000002", "000004")
    assert source.excluded is not None
    assert source.excluded.shape == (3, 4)
    assert split.size == 3
    assert "1 images of 'val' are of every class that the model knows, and were left out." in split.notes
    np.testing.assert_allclose(next(source.batches([1], 1))[0, 0, 0, 0].item() * 255, 32, atol=1e-4)
    (tmp_path / "whole").mkdir()
    with pytest.raises(DataError, match="images that are not of every class were expected, all 5 are"):
        prepare(archive(tmp_path / "whole", np.ones((5, 4), int)), NAMES, GREY)


def test_classes_that_count_as_one_are_one(tmp_path: Path) -> None:
    """Cat and dog are mammals, as is the pig: an image of cat and dog has one class then."""
    class_map = {"cat": "mammal", "dog": "mammal", "pig": "mammal", "owl": "bird", "eel": "fish"}
    raw = archive(tmp_path, np.pad(rows(), ((0, 0), (0, 1))), (*NAMES, "eel"))
    split, source = prepare(raw, (*NAMES, "eel"), GREY, class_map=class_map)
    assert split.class_names == ("mammal", "bird", "fish")
    assert source.excluded is not None
    asked = source.target.tolist()
    both = {0: {1}, 1: {0}}
    assert [asked[i] for i in (0, 1, 3)] == [0, 1, 0]
    assert [set(np.flatnonzero(row)) for row in source.excluded] == [set(), set(), both[asked[2]], set()]


def test_classes_that_count_as_one_are_asked_about_as_one(tmp_path: Path) -> None:
    """As where the images were labelled so: not as often as there are classes in it."""
    labels = np.tile([1, 1, 1, 0], (400, 1))
    images = np.random.default_rng(0).integers(0, 255, (400, 4, 4)).astype(np.uint8)
    raw = archive(tmp_path, labels, ("cat", "dog", "fox", "eel"), images)
    class_map = {"cat": "pet", "dog": "pet", "fox": "wild", "eel": "fish"}
    source = prepare(raw, ("cat", "dog", "fox", "eel"), GREY, class_map=class_map)[1]
    assert abs(int((source.target == 0).sum()) - 200) < 4 * 10


def test_a_class_that_nobody_is_asked_about_has_images_all_the_same(tmp_path: Path) -> None:
    raw = archive(tmp_path, rows())
    raw = replace(raw, labels=np.array([0, 2, 0, 3]), also=((1,), (), (2, 3), (1,)))
    notes = prepare(raw, NAMES, GREY)[0].notes
    assert "Of 1 of 4 classes, no image of 'val' is asked: dog." in notes
    assert not any("have no image" in note for note in notes)


def test_the_digest_of_labels_is_that_of_all_classes_of_an_image(tmp_path: Path) -> None:
    """Whatever it is asked about: names, which decide that, are no labels. And of one class, of that class."""
    raw = archive(tmp_path, rows())
    others = zip(raw.labels.tolist(), raw.also, strict=True)
    turned = [(of[-1], tuple(sorted({u, *of} - {of[-1]}))) if of else (u, of) for u, of in others]
    other = replace(raw, labels=np.array([u for u, _ in turned]), also=tuple(of for _, of in turned))
    assert other.labels_digest == raw.labels_digest
    assert (other.labels != raw.labels).any()
    single = replace(raw, also=())
    assert replace(raw, also=((),) * 4).labels_digest == single.labels_digest != raw.labels_digest


def test_copies_count_once_and_those_with_other_classes_are_said(tmp_path: Path) -> None:
    images = np.arange(5 * 16, dtype=np.uint8).reshape(5, 4, 4)
    images[4] = images[0]
    labels = rows()
    labels[4] = labels[0]
    raw = archive(tmp_path, labels, NAMES, images)
    assert raw.sample_ids == ("000000", "000001", "000002")
    assert raw.notes[1] == "1 of the 4 images of 'val' repeat another one: each counts once."
    labels[4] = rows()[4]
    torn = archive(tmp_path, labels, NAMES, images)
    assert "1 images of 'val' stand there under several classes: no model can be right about all." in torn.notes


def test_pictures_that_are_left_out_leave_the_classes_of_the_others(tmp_path: Path) -> None:
    write_images(tmp_path, {"x": [noise(0), noise(1), noise(2)]})
    (tmp_path / "x" / "1.png").write_bytes(b"broken")
    (tmp_path / "val.csv").write_text("path,label\nx/0.png,a|b\nx/1.png,c\nx/2.png,b|c\n", encoding="utf-8")
    raw = load_split(TableSplit(kind="table", path=tmp_path / "val.csv", label_separator="|", unreadable=1))
    assert told(raw) == [{"a", "b"}, {"b", "c"}]
    assert prepare(raw, ("a", "b", "c"), RGB)[0].size == 2
