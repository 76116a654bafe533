"""Where validation images lie, and how they are read: a class for each kind of split."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from case_monitor.settings.strict import Strict

Unreadable = Annotated[
    int, Field(ge=0, description="How many images that cannot be read are left out, and named; more are an error.")
]

Classes = Annotated[
    Literal["all", "subset"],
    Field(description="`subset`: only some of the model's classes are here; the verdict is about those alone."),
]

Objects = Annotated[
    Path | None,
    Field(
        description="Where the object is, for `protocol.diagnostics: localisation`: a folder of masks, each called "
        "like its image with the suffix `.png`, and 0 where the object is not; or a CSV file of boxes with the "
        "columns image, x0, y0, x1, y1, in pixels of the image; both of images as they are seen."
    ),
]


class ImageFolderSplit(Strict):
    """A directory with one folder of images per class, named after the class.

    Opaque pictures of 8 bits a channel; with `preprocessing.window` of more, or DICOM (extra `case-monitor[dicom]`).
    """

    kind: Literal["image_folder"]
    path: Path
    """The directory."""
    names: Path | None = None
    """Readable names of classes whose folders are called otherwise, as `n01440764`: JSON `{folder: name}`, or text with
    folder and names in a line, of which the first is taken. Of two classes of one name, each gets its folder's, too."""
    classes: Classes = "all"
    objects: Objects = None
    unreadable: Unreadable = 0


class TableSplit(Strict):
    """A CSV file (`.csv`, `.tsv`, `.txt`) or Parquet file of paths and labels, a line or row for each image."""

    kind: Literal["table"]
    path: Path
    """The file. CSV is UTF-8 with a header, separated by commas, semicolons or tabs."""
    images: Path | None = None
    """The folder that the paths are relative to, and stay below; omitted, the file's."""
    path_column: str = "path"
    """The column of the images' paths."""
    label_column: str = "label"
    """The column of their classes."""
    labels: Literal["names", "indices"] = "names"
    """Whether the classes are `names`, which are sorted, or `indices` of the model's logits, from 0."""
    label_separator: str | None = Field(None, min_length=1, max_length=1)
    """What stands between the classes of an image that is of several, as `|`; images without a class are left out."""
    classes: Classes = "all"
    objects: Objects = None
    unreadable: Unreadable = 0


class ImagenetSplit(Strict):
    """ImageNet's validation set as it is published. Classes are synsets, sorted, as torchvision has them."""

    kind: Literal["imagenet"]
    path: Path
    """The folder of `ILSVRC2012_val_00000001.JPEG` and so on."""
    truth: Path
    """The devkit's `ILSVRC2012_validation_ground_truth.txt`, with `meta.mat` beside it, or Kaggle's
    `LOC_val_solution.csv`."""
    names: Path | None = None
    """Readable names: `LOC_synset_mapping.txt`, `words.txt`, or JSON `{synset: name}`. Of a line, the first name is
    taken; of two classes of one name, each gets its synset, too. Omitted, classes are called by their synsets."""
    classes: Classes = "all"
    objects: Objects = None
    unreadable: Unreadable = 0


class CifarSplit(Strict):
    """CIFAR-10 or CIFAR-100 in the authors' Python format, already on disk."""

    kind: Literal["cifar10", "cifar100"]
    path: Path
    """The directory that holds `cifar-10-batches-py` or `cifar-100-python`."""


class NpzSplit(Strict):
    """A NumPy archive: `images` (N, H, W) or (N, H, W, C), `labels` (N,), and optionally `class_names`, `ids`.

    Of images that are of several classes, `labels` are (N, classes), 1 for each class that an image is of, else 0.
    Images of uint8; of int16, uint16, int32 or float32 with `preprocessing.window`.
    """

    kind: Literal["npz"]
    path: Path
    """The file."""
    classes: Classes = "all"
    objects: Objects = None


class HuggingfaceSplit(Strict):
    """A data set of the library `datasets`, saved by `save_to_disk`. Needs the extra `case-monitor[huggingface]`.

    Labels are of `ClassLabel`, whose names are those of the classes, names, which are sorted, or indices of the model's
    logits; or lists of these, of images that are of several classes.
    """

    kind: Literal["huggingface"]
    path: Path
    """The folder."""
    split: str | None = None
    """Which part of a `DatasetDict`, as `validation`."""
    image_column: str = "image"
    """The column of the images."""
    label_column: str = "label"
    """The column of their classes."""
    classes: Classes = "all"
    objects: Objects = None
    unreadable: Unreadable = 0


class WebdatasetSplit(Strict):
    """Shards of WebDataset, not compressed: `key.jpg` (or another picture) with `key.cls` or `key.json`."""

    kind: Literal["webdataset"]
    path: Path
    """A folder of `.tar` files, one such file, or a pattern with `*`."""
    label_field: str | None = None
    """The field of `key.json` that holds the class, or a list of those of an image; omitted, `key.cls` is it."""
    labels: Literal["names", "indices"] = "indices"
    """Whether the classes are `indices` of the model's logits, from 0, or `names`."""
    class_names: tuple[str, ...] | Path | None = None
    """In the order of the indices: a list, or a text file with a class in each line. Omitted, names are sorted."""
    classes: Classes = "all"
    objects: Objects = None
    unreadable: Unreadable = 0


_Stored = ImageFolderSplit | TableSplit | ImagenetSplit | NpzSplit | HuggingfaceSplit | WebdatasetSplit
_STORED: dict[str, type[_Stored]] = {
    "image_folder": ImageFolderSplit,
    "table": TableSplit,
    "imagenet": ImagenetSplit,
    "npz": NpzSplit,
    "huggingface": HuggingfaceSplit,
    "webdataset": WebdatasetSplit,
}


class _Downloaded(Strict):
    """Downloaded first, and then read like another."""

    format: Literal["image_folder", "table", "imagenet", "npz", "huggingface", "webdataset"]
    """The kind as which to read what was downloaded."""
    options: dict[str, object] = Field(default_factory=dict)
    """Other fields of that kind. Paths, among them `path`, are relative to what was downloaded, and inside of it."""

    def inside(self, place: Path) -> _Stored:
        """The split that is there.

        Raises:
            ValueError: the kind has no such fields, or a path leads elsewhere.
        """
        try:
            spec = _STORED[self.format].model_validate({"path": Path(), **self.options, "kind": self.format})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            msg = f"options: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise ValueError(msg) from None
        for name, value in spec:
            if isinstance(value, Path) and (value.is_absolute() or ".." in value.parts):
                msg = f"options: {name}: a path inside of what is downloaded was expected, {str(value)!r} came"
                raise ValueError(msg)
        return anchored_split(spec, place)

    @model_validator(mode="after")
    def _fits(self) -> "_Downloaded":
        self.inside(Path())
        return self


class ArtifactSplit(_Downloaded):
    """A split stored as an MLflow artifact."""

    kind: Literal["mlflow_artifact"]
    uri: str
    """`runs:/<run id>/<path>`, `models:/<name>/<version>/<path>` or `mlflow-artifacts:/...`."""


class FetchedSplit(_Downloaded):
    """A split at any URL that fsspec reaches, downloaded by the process that judges, which has the credentials.

    The package of a store is yours to install: `s3fs` for `s3://`, `gcsfs` for `gs://`, `adlfs` for `az://`. They take
    credentials from the environment, and other settings from fsspec's own configuration.
    """

    kind: Literal["fetched"]
    url: str = Field(pattern=r"://")
    """A file, or a folder with all below it, as `s3://bucket/validation`; of web servers, files only.
    `zip://::https://host/validation.zip` is what an archive holds, on a server that sends parts of files."""


class FunctionSplit(Strict):
    """A function of yours that returns a `torch.utils.data.Dataset` of (image, class index).

    Of images that are of several classes, a vector of 0 and 1 for each class, in place of the index.

    The same images at each start and at each reading: nothing random, no augmentation. It runs in the process that
    measures, which then has environment, directory and path of the one that judges.
    """

    kind: Literal["function"]
    function: str = Field(pattern=r"^[\w.]+:\w+$")
    """`package.module:function`. Importing it runs its code."""
    arguments: dict[str, object] = Field(default_factory=dict)
    """Keyword arguments for the function."""


SplitSpec = Annotated[
    ImageFolderSplit
    | TableSplit
    | ImagenetSplit
    | CifarSplit
    | NpzSplit
    | HuggingfaceSplit
    | WebdatasetSplit
    | ArtifactSplit
    | FetchedSplit
    | FunctionSplit,
    Field(discriminator="kind"),
]

AnySplit = TypeVar("AnySplit", bound=Strict)


def anchored_split(split: AnySplit, base: Path) -> AnySplit:
    """The same with its paths below `base`, those that are relative."""
    return split.model_copy(update={name: base / value for name, value in split if isinstance(value, Path)})


def declares_subset(split: SplitSpec) -> bool:
    """Whether the model is said to have more classes."""
    declared = split.options if isinstance(split, _Downloaded) else dict(split)
    return declared.get("classes") == "subset"
