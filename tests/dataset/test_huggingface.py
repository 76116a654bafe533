"""Data sets of Hugging Face's library: their pictures bypass no look, and nothing is fetched or run."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import HuggingfaceSplit, ImageFolderSplit, Preprocessing
from tests.dataset.test_load import RGB, all_of, noise, write_images

LABELS = [1, 0, 1, 1]


def encoded(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **more)
    return file.getvalue()


def built(pictures: list[Any] | None = None, labels: Any = LABELS, feature: Any = None) -> datasets.Dataset:
    pictures = [encoded(noise(i)) for i in range(4)] if pictures is None else pictures
    cells = [{"bytes": p, "path": None} if isinstance(p, bytes) else p for p in pictures]
    columns = {"image": cells, "label": labels[: len(cells)]}
    kinds = {"image": datasets.Image(), "label": feature or datasets.ClassLabel(names=["dog", "cat"])}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


def read(home: Path, dataset: Any = None, **more: Any) -> RawSplit:
    if dataset is not None:
        dataset.save_to_disk(str(home / "hf"))
    return load_split(HuggingfaceSplit(kind="huggingface", path=home / "hf", **more))


def test_labels_are_the_features_own(tmp_path: Path) -> None:
    raw = read(tmp_path, built())
    assert (raw.name, raw.class_names, raw.labels.tolist()) == ("hf", ("dog", "cat"), LABELS)
    source = prepare(raw, ("cat", "dog"), RGB)[1]
    assert source.target.tolist() == [0, 1, 0, 0]
    stored = torch.stack([torch.from_numpy(np.array(noise(i))).permute(2, 0, 1) for i in range(4)])
    torch.testing.assert_close(all_of(source), stored.float() / 255)


def test_the_images_are_those_of_the_same_files(tmp_path: Path) -> None:
    """Whatever the split is kept in, the images are the same evidence."""
    raw = read(tmp_path, built())
    write_images(tmp_path / "val", {"cat": [noise(0), noise(2), noise(3)], "dog": [noise(1)]})
    folder = load_split(ImageFolderSplit(kind="image_folder", path=tmp_path / "val"))
    assert raw.images_digest == folder.images_digest
    assert raw.labels_digest == folder.labels_digest


def test_two_workers_read_the_same(tmp_path: Path) -> None:
    raw = read(tmp_path, built())
    assert torch.equal(all_of(prepare(raw, None, RGB, num_workers=1)[1]), all_of(prepare(raw, None, RGB)[1]))


def test_a_part_of_several_is_asked_for(tmp_path: Path) -> None:
    parts = datasets.DatasetDict({"train": built(labels=[0] * 4), "validation": built()})
    raw = read(tmp_path, parts, split="validation")
    assert (raw.name, raw.labels.tolist()) == ("validation", LABELS)
    for split, came in ((None, "nothing"), ("test", "'test'")):
        with pytest.raises(DataError, match=f"split.split was expected to be one of train, validation, {came} came"):
            read(tmp_path, split=split)


def test_shuffled_rows_keep_their_labels(tmp_path: Path) -> None:
    """A data set in another order is a list of places, until it is saved."""
    shuffled = built().shuffle(seed=3)
    raw = read(tmp_path, shuffled)
    expected = [np.array(row["image"])[0, 0].tolist() for row in shuffled]
    assert (all_of(prepare(raw, None, RGB)[1])[:, :, 0, 0] * 255).round().int().tolist() == expected
    assert raw.labels.tolist() == shuffled["label"][:]


@pytest.mark.parametrize(
    ("labels", "feature", "names", "came"),
    [
        (["dog", "cat", "dog", "ant"], datasets.Value("string"), ("ant", "cat", "dog"), [2, 1, 2, 0]),
        ([3, 0, 1, 2], datasets.Value("int32"), None, [3, 0, 1, 2]),
    ],
)
def test_labels_of_other_kinds(tmp_path: Path, labels: Any, feature: Any, names: Any, came: list[int]) -> None:
    raw = read(tmp_path, built(labels=labels, feature=feature))
    assert (raw.class_names, raw.labels.tolist()) == (names, came)


def deep() -> bytes:
    return encoded(Image.fromarray(np.full((6, 6), 5000, np.uint16)))


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (encoded(noise(1, (6, 6, 4))), "an opaque picture was expected"),
        (encoded(noise(1), "GIF", save_all=True, append_images=[noise(2)]), "one picture was expected, 2 came"),
        (encoded(noise(1))[:70], "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read: its format"),
        (b"", "cannot be read"),
        (None, "cannot be read: its bytes are not in the data set"),
        (deep(), "8 bits a channel were expected, mode I;16 came"),
    ],
)
def test_bytes_bypass_no_look(tmp_path: Path, picture: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"^image '000001' of split 'hf':? .*{said}"):
        prepare(read(tmp_path, built([encoded(noise(0)), picture])), None, RGB)


def test_deep_pictures_have_a_window(tmp_path: Path) -> None:
    window = Preprocessing(mean=(0.0,), std=(1.0,), window=(0, 10000))
    torch.testing.assert_close(
        all_of(prepare(read(tmp_path, built([deep()])), None, window)[1]), torch.full((1, 1, 6, 6), 0.5)
    )


def test_what_cannot_be_read_may_be_left_out(tmp_path: Path) -> None:
    raw = read(tmp_path, built([encoded(noise(0)), b"x", encoded(noise(2))]), unreadable=1)
    assert (raw.sample_ids, raw.labels.tolist()) == (("000000", "000002"), [1, 1])


@pytest.mark.parametrize(
    ("dataset", "more", "said"),
    [
        (built(), {"image_column": "img"}, "a column 'img' was expected, image, label came"),
        (built(), {"label_column": "y"}, "a column 'y' was expected"),
        (built(), {"image_column": "label"}, "column 'label': images were expected, ClassLabel came"),
        (built(), {"split": "test"}, "no split.split was expected, as there are no parts, 'test' came"),
        (built(labels=[1, None, 0, 0]), {}, "a class in each row was expected, 1 have none"),
        (built(labels=[1, -1, 0, 0]), {}, r"labels in 0\.\.1 were expected, -1\.\.1 came"),
        (built(labels=[0.5] * 4, feature=datasets.Value("float32")), {}, "were expected, float32 came"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path: Path, dataset: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(tmp_path, dataset, **more)
    assert "\n" not in str(error.value)


def test_another_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder that save_to_disk made was expected at .*, none is there"):
        read(tmp_path)
    (tmp_path / "hf").mkdir()
    with pytest.raises(DataError, match=r"a folder that save_to_disk made was expected at .*neither a `Dataset`"):
        read(tmp_path)


def test_files_elsewhere_are_not_read(tmp_path: Path) -> None:
    read(tmp_path, built())
    state = tmp_path / "hf" / "state.json"
    content = json.loads(state.read_text())
    content["_data_files"][0]["filename"] = "../other/data.arrow"
    state.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"files beside state.json were expected, '../other/data.arrow' came"):
        read(tmp_path)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the extra case-monitor\[huggingface\]"):
        read(tmp_path)


def test_a_mode_that_the_library_would_convert_to_is_refused(tmp_path: Path) -> None:
    dataset = built().cast_column("image", datasets.Image(mode="L"))
    with pytest.raises(DataError, match=r"images as they are stored were expected, the data set says mode 'L'"):
        read(tmp_path, dataset)
