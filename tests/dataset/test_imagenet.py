"""ImageNet's validation set: classes and order are torchvision's, which reads the same generated devkit."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import ImageFolder, imagenet

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit, ImagenetSplit
from tests.dataset.test_load import RGB, noise, write_images

# In the devkit's order, which is not that of the synsets; the last holds others.
SYNSETS = (
    ("n03126707", "crane", 0),
    ("n01440764", "tench, Tinca tinca", 0),
    ("n02012849", "crane", 0),
    ("n03710721", "maillot, tank suit", 0),
    ("n03710637", "maillot", 0),
    ("n00001740", "entity", 5),
)
NUMBERS = (2, 2, 1, 5, 4, 3, 1, 2, 3)
ORDER = ("n01440764", "n02012849", "n03126707", "n03710637", "n03710721")
MAPPING = "".join(f"{synset} {words}\n" for synset, words, _ in SYNSETS[::-1])
FIELDS = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The flat folder and the devkit, as published."""
    data, val = tmp_path / "ILSVRC2012_devkit_t12" / "data", tmp_path / "flat"
    data.mkdir(parents=True)
    val.mkdir()
    rows = [(i, s, w, "gloss", n, np.zeros(1), 0, 9) for i, (s, w, n) in enumerate(SYNSETS, 1)]
    savemat(data / "meta.mat", {"synsets": np.array(rows, dtype=[(name, object) for name in FIELDS])})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{n}\n" for n in NUMBERS))
    for i in range(len(NUMBERS)):
        noise(i, (8, 8, 3)).save(val / f"ILSVRC2012_val_{i + 1:08d}.JPEG")
    (tmp_path / "mapping.txt").write_text(MAPPING)
    shows = {i: SYNSETS[n - 1][0] for i, n in enumerate(NUMBERS, 1)}
    lines = [f"ILSVRC2012_val_{i:08d},{synset} 1 2 3 4 {synset} 5 6 7 8 \n" for i, synset in shows.items()]
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(lines[::-1]))
    return tmp_path


def devkit(home: Path) -> Path:
    return home / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"


def read(home: Path, truth: Path | None = None, names: Path | None = None, unreadable: int = 0) -> RawSplit:
    spec = ImagenetSplit(
        kind="imagenet", path=home / "flat", truth=truth or devkit(home), names=names, unreadable=unreadable
    )
    return load_split(spec)


def by_torchvision(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, int], list[str]]:
    """Class indices by file, and the synsets in their order."""
    monkeypatch.setattr(imagenet, "_verify_archive", lambda *_: None)
    root = home / "torchvision"
    root.mkdir()
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as out:
        out.add(home / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as out:
        for file in sorted((home / "flat").iterdir()):
            out.add(file, file.name)
    imagenet.parse_devkit_archive(str(root))
    imagenet.parse_val_archive(str(root))
    folder = ImageFolder(str(root / "val"))
    return {Path(path).name: u for path, u in folder.samples}, folder.classes


@pytest.mark.parametrize("file", ["devkit", "kaggle"])
def test_classes_are_those_of_torchvision(home: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    raw = read(home, home / "LOC_val_solution.csv" if file == "kaggle" else None)
    expected, classes = by_torchvision(home, monkeypatch)
    assert dict(zip(raw.sample_ids, raw.labels.tolist(), strict=True)) == expected
    assert raw.class_names == tuple(classes) == ORDER
    assert raw.notes == ()


def test_by_hand(home: Path) -> None:
    """The first image is number 2 of the devkit, the tench, which is the first synset."""
    raw = read(home)
    assert raw.labels.tolist() == [0, 0, 2, 3, 4, 1, 2, 0, 1]


def test_two_classes_of_one_name_are_told_apart(home: Path) -> None:
    raw = read(home, names=home / "mapping.txt")
    assert raw.class_names == (
        "tench", "crane (n02012849)", "crane (n03126707)", "maillot (n03710637)", "maillot (n03710721)",
    )  # fmt: skip
    assert raw.labels.tolist() == read(home).labels.tolist()
    [note] = raw.notes
    assert note.startswith(
        "4 classes of 'flat' share names, and are called after their folders, too: crane (n02012849)"
    )
    with pytest.raises(DataError, match=r"only the data set 'flat' has \['crane \(n02012849\)'"):
        prepare(raw, ("tench", "crane", "crane", "maillot", "maillot"), RGB)


def test_names_can_be_json_and_words(home: Path) -> None:
    readable = {s: f"{words.split(',')[0]} {i}" for i, (s, words, _) in enumerate(SYNSETS)}
    (home / "names.json").write_text(json.dumps(readable))
    names = tuple(readable[synset] for synset in ORDER)
    assert read(home, names=home / "names.json").class_names == names
    (home / "words.txt").write_text("n00000001\tmore\n" + "".join(f"{s}\t{name}, x\n" for s, name in readable.items()))
    assert read(home, names=home / "words.txt").class_names == names


def test_a_part_of_the_images_has_the_classes_of_all(home: Path) -> None:
    for i in (1, 2, 8, 9):
        (home / "flat" / f"ILSVRC2012_val_{i:08d}.JPEG").unlink()
    (home / "flat" / "readme.txt").write_text("x")
    raw = read(home)
    assert raw.labels.tolist() == [2, 3, 4, 1, 2]
    assert raw.notes == (
        "1 files or folders that are no images of 'flat' were left out: readme.txt.",
        "4 of 9 images that split.truth knows are not in 'flat'.",
    )
    assert any("1 of 5 classes have no image" in note for note in prepare(raw, None, RGB)[0].notes)


def test_an_image_that_cannot_be_read_shifts_nothing(home: Path) -> None:
    (home / "flat" / "ILSVRC2012_val_00000003.JPEG").write_bytes(b"x")
    raw = read(home, unreadable=1)
    assert raw.labels.tolist() == [0, 0, 3, 4, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("truth", "2\n2\n7\n", "line 3 of .*: the number of a synset of meta.mat was expected, '7' came"),
        ("truth", "2\n6\n", "line 2 of .*, '6' came"),
        ("truth", "2\ntench\n", "'tench' came"),
        ("truth", "2\n\n2\n", "line 2 of .*: a number was expected, none came"),
        ("truth", "2\n2\n", "what each image shows, of 7 not: ILSVRC2012_val_00000003.JPEG"),
        ("meta.mat", "x", "meta.mat is no meta.mat of the devkit"),
        ("meta.mat", None, "the devkit's meta.mat was expected beside it"),
        ("truth", None, "LOC_val_solution.csv was expected at .*, no file is there"),
        ("LOC_val_solution.csv", "ImageId\nx\n", "ImageId and PredictionString were expected"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nILSVRC2012_val_00000001,\n", "line 2 .* boxes of one"),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4 n02012849 1 2 3 4\n",
            "line 2 .* boxes of one synset",
        ),
        ("mapping.txt", "n01440764 tench\n", "a name for each class was .*, 4 have none: n02012849"),
        ("mapping.txt", MAPPING + "n01440764 goldfish\n", "one name was expected, 'n01440764' has two"),
        ("names.json", "[1]", "JSON .key: name. was expected"),
        ("names.json", "{", "cannot be read from names.json: JSONDecodeError"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(home: Path, file: str, content: str | None, said: str) -> None:
    place = devkit(home) if file == "truth" else devkit(home).with_name(file) if file == "meta.mat" else home / file
    if content is None:
        place.unlink()
    else:
        place.write_text(content)
    names = place if file in {"mapping.txt", "names.json"} else None
    with pytest.raises(DataError, match=said) as error:
        read(home, place if file.endswith(".csv") else None, names)
    assert "\n" not in str(error.value)


def test_images_in_folders_of_synsets_are_another_kind(home: Path) -> None:
    write_images(home / "sorted", {synset: [noise(i)] for i, synset in enumerate(ORDER)})
    with pytest.raises(DataError, match="none came; folders of synsets are kind image_folder"):
        load_split(ImagenetSplit(kind="imagenet", path=home / "sorted", truth=devkit(home)))
    spec = ImageFolderSplit(kind="image_folder", path=home / "sorted", names=home / "mapping.txt")
    raw = load_split(spec)
    assert raw.class_names == read(home, names=home / "mapping.txt").class_names
    assert raw.labels.tolist() == [0, 1, 2, 3, 4]
    assert raw.digest == load_split(spec.model_copy(update={"names": None})).digest


def test_readable_names_hide_no_order_that_is_two(tmp_path: Path) -> None:
    """Folders 1, 2 and 10 are sorted by their characters; what they are called then looks like no order at all."""
    write_images(tmp_path / "val", {name: [noise(int(name))] for name in ("1", "2", "10")})
    (tmp_path / "names.json").write_text(json.dumps({"1": "cat", "2": "ant", "10": "bee"}))
    raw = load_split(ImageFolderSplit(kind="image_folder", path=tmp_path / "val", names=tmp_path / "names.json"))
    assert raw.class_names == ("cat", "bee", "ant")
    with pytest.raises(DataError, match="class 1 is '10' by their characters and '2' as people do"):
        prepare(raw, None, RGB)
    assert prepare(raw, ("cat", "ant", "bee"), RGB)[1].target.tolist() == [0, 2, 1]


def test_a_mat_file_of_something_else(home: Path) -> None:
    file = io.BytesIO()
    savemat(file, {"other": np.zeros(3)})
    devkit(home).with_name("meta.mat").write_bytes(file.getvalue())
    with pytest.raises(DataError, match=r"is no meta.mat of the devkit"):
        read(home)
