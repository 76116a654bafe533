"""Validation splits: read by a spec from the configuration, preprocessed for the model, named by a digest."""

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from case_monitor.core.errors import CaseMonitorError, ConfigError, DataError
from case_monitor.core.records import IntArray, Split
from case_monitor.settings import (
    ArtifactSplit,
    CifarSplit,
    FunctionSplit,
    ImageFolderSplit,
    NpzSplit,
    Preprocessing,
    SplitSpec,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSplit:
    """Images as stored, before preprocessing.

    Attributes:
        name: for people.
        images: dataset of (PIL image or preprocessed tensor (C, H, W), class index).
        sample_ids: stable names.
        labels: (N,) class indices in the data set's own order.
        class_names: the data set's own, or None.
        digest: SHA-256 of the content.
    """

    name: str
    images: Dataset[Any]
    sample_ids: tuple[str, ...]
    labels: IntArray
    class_names: tuple[str, ...] | None
    digest: str


class PreparedImages:
    """The images of a split as the model wants them: an `ImageSource`."""

    def __init__(self, raw: RawSplit, target: IntArray, preprocessing: Preprocessing | None, num_workers: int) -> None:
        self.sample_ids, self.target = raw.sample_ids, target
        self._preprocessing, self._num_workers = preprocessing, num_workers
        self._images = _Preprocessed(raw, preprocessing)

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        """Batches (B, C, H, W) float32 of the images at `indices`, in that order."""
        loader: DataLoader[Tensor] = DataLoader(
            Subset(self._images, list(indices)), batch_size=batch_size, num_workers=self._num_workers
        )
        yield from loader

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        """(B, C, H, W) preprocessed images as a person would see them: (B, H, W, 3) uint8."""
        if self._preprocessing is None:  # prepared by the user's own function: stretch what came to the full range
            low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
            images = (images - low) / (high - low).clamp(min=1e-8)
        else:
            mean = torch.tensor(self._preprocessing.mean).view(-1, 1, 1)
            std = torch.tensor(self._preprocessing.std).view(-1, 1, 1)
            images = images * std + mean
        rgb = images[:, :1].expand(-1, 3, -1, -1) if images.shape[1] not in {3} else images
        return (rgb * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


class _Preprocessed(Dataset[Tensor]):
    def __init__(self, raw: RawSplit, preprocessing: Preprocessing | None) -> None:
        self._raw = raw
        self._transform = None if preprocessing is None else _transform(preprocessing)

    def __len__(self) -> int:
        return len(self._raw.sample_ids)

    def __getitem__(self, index: int) -> Tensor:
        try:
            image, _ = self._raw.images[index]
        except CaseMonitorError:
            raise
        except Exception as error:
            msg = f"image {self._raw.sample_ids[index]!r} of split {self._raw.name!r} cannot be read: {error}"
            raise DataError(msg) from error
        if isinstance(image, Tensor):
            return image.float()
        if self._transform is None:
            msg = "preprocessing: the model version was logged without it; set it in the configuration"
            raise ConfigError(msg)
        return self._transform(image)


def _transform(preprocessing: Preprocessing) -> Callable[[Image.Image], Tensor]:
    grey = len(preprocessing.mean) == 1
    steps: list[Any] = [v2.Grayscale() if grey else v2.RGB()]
    if preprocessing.resize:
        steps.append(v2.Resize(preprocessing.resize, antialias=True))
    if preprocessing.crop:
        steps.append(v2.CenterCrop(preprocessing.crop))
    steps += [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(list(preprocessing.mean), list(preprocessing.std)),
        v2.ToPureTensor(),
    ]
    transform: Callable[[Image.Image], Tensor] = v2.Compose(steps)
    return transform


def prepare(
    raw: RawSplit, class_names: Sequence[str] | None, preprocessing: Preprocessing | None, num_workers: int = 0
) -> tuple[Split, PreparedImages]:
    """Bring a split into the model's order of classes and its preprocessing.

    Args:
        raw: the images as stored.
        class_names: the model's, in the order of its logits; None takes the data set's.
        preprocessing: the model's; None for a data set that returns prepared tensors.
        num_workers: processes that read images.

    Raises:
        DataError: the class names or their number contradict each other; the message says both sides.
    """
    names, target = _match_classes(raw, class_names)
    settings = preprocessing.model_dump(mode="json") if preprocessing else None
    identity = json.dumps([raw.digest, list(names), settings])
    split = Split(
        name=raw.name,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        class_names=names,
        size=len(raw.sample_ids),
    )
    return split, PreparedImages(raw, target, preprocessing, num_workers)


def _match_classes(raw: RawSplit, class_names: Sequence[str] | None) -> tuple[tuple[str, ...], IntArray]:
    own = raw.class_names
    if class_names is None:
        return own or tuple(str(u) for u in range(int(raw.labels.max()) + 1)), raw.labels
    names = tuple(class_names)
    count = len(own) if own else int(raw.labels.max()) + 1
    if count != len(names):
        msg = f"number of classes: the data set {raw.name!r} has {count}, the model has {len(names)}"
        raise DataError(msg)
    if own is None or own == names:
        return names, raw.labels
    if set(own) != set(names):
        theirs, ours = sorted(set(own) - set(names)), sorted(set(names) - set(own))
        msg = f"class names: only the data set {raw.name!r} has {theirs[:5]}, only the model has {ours[:5]}"
        raise DataError(msg)
    # The same classes in another order, as when folders are sorted by name and logits are not.
    order = np.array([names.index(name) for name in own], dtype=np.int64)
    return names, order[raw.labels]


def load_split(spec: SplitSpec) -> RawSplit:
    """Read a split.

    Raises:
        DataError: what is there is not what the spec says.
        ConfigError: the function of a `function` split cannot be imported.
    """
    match spec:
        case ImageFolderSplit():
            raw = _image_folder(spec.path)
        case CifarSplit():
            raw = _cifar(spec)
        case NpzSplit():
            raw = _npz(spec.path)
        case ArtifactSplit():
            raw = _artifact(spec)
        case FunctionSplit():
            raw = _function(spec)
    if len(raw.sample_ids) == 0:
        msg = f"split {raw.name!r}: images were expected, none came"
        raise DataError(msg)
    return raw


def _image_folder(path: Path) -> RawSplit:
    from torchvision.datasets import ImageFolder

    if not path.is_dir():
        msg = f"split: a directory with one folder per class was expected at {path}, none is there"
        raise DataError(msg)
    try:
        folder = ImageFolder(str(path), allow_empty=True)
    except FileNotFoundError as error:
        msg = f"split: one folder per class was expected in {path}: {error}"
        raise DataError(msg) from None
    files = [Path(file) for file, _ in folder.samples]
    names = tuple(file.relative_to(path).as_posix() for file in files)
    return RawSplit(
        name=path.name,
        images=folder,
        sample_ids=names,
        labels=np.array(folder.targets, dtype=np.int64),
        class_names=tuple(folder.classes),
        digest=_digest_files(names, files),
    )


def _digest_files(names: Sequence[str], files: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        with file.open("rb") as stream:
            total.update(name.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _cifar(spec: CifarSplit) -> RawSplit:
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = CIFAR10 if spec.kind == "cifar10" else CIFAR100
    try:
        cifar = dataset(str(spec.path), train=False, download=False)
    except RuntimeError as error:
        msg = f"split: {spec.kind} was expected in {spec.path}: {error}"
        raise DataError(msg) from None
    labels = np.array(cifar.targets, dtype=np.int64)
    return RawSplit(
        name=f"{spec.kind}-test",
        images=cifar,
        sample_ids=tuple(f"test-{i:05d}" for i in range(len(labels))),
        labels=labels,
        class_names=tuple(cifar.classes),
        digest=hashlib.sha256(cifar.data.tobytes() + labels.tobytes()).hexdigest(),
    )


class _ArrayImages(Dataset[Any]):
    def __init__(self, images: npt.NDArray[np.uint8], labels: IntArray) -> None:
        self._images, self._labels = images, labels

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self._images[index].squeeze()), int(self._labels[index])


def _npz(path: Path) -> RawSplit:
    try:
        with np.load(path, allow_pickle=False) as archive:  # object arrays are pickles, so code
            content = {key: archive[key] for key in archive.files}
    except (OSError, ValueError) as error:
        msg = f"split: a NumPy archive (.npz) was expected at {path}: {error}"
        raise DataError(msg) from None
    missing = {"images", "labels"} - content.keys()
    if missing:
        msg = f"split {path.name}: arrays 'images' and 'labels' were expected, {sorted(content)} came"
        raise DataError(msg)
    images, labels = content["images"], content["labels"]
    _check_arrays(path, images, labels)
    names = content.get("class_names")
    count = len(labels) if names is None else len(names)
    if labels.size and (labels.min() < 0 or (names is not None and labels.max() >= count)):
        msg = f"split {path.name}: labels in 0..{count - 1} were expected, {labels.min()}..{labels.max()} came"
        raise DataError(msg)
    ids = content.get("ids", np.array([f"{i:06d}" for i in range(len(labels))]))
    with path.open("rb") as stream:
        file_digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return RawSplit(
        name=path.stem,
        images=_ArrayImages(images, labels.astype(np.int64)),
        sample_ids=tuple(str(i) for i in ids),
        labels=labels.astype(np.int64),
        class_names=None if names is None else tuple(str(name) for name in names),
        digest=file_digest,
    )


def _check_arrays(path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    channels = images.shape[3] if images.ndim == 4 else 1
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or channels not in {1, 3}:
        msg = f"split {path.name}: images (N, H, W) or (N, H, W, 1 or 3) of uint8 were expected"
        raise DataError(f"{msg}, {images.shape} of {images.dtype} came")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        msg = f"split {path.name}: integer labels ({len(images)},) were expected"
        raise DataError(f"{msg}, {labels.shape} of {labels.dtype} came")


def _artifact(spec: ArtifactSplit) -> RawSplit:
    import mlflow

    try:
        path = Path(mlflow.artifacts.download_artifacts(spec.uri))
    except Exception as error:
        msg = f"split: the MLflow artifact {spec.uri} cannot be downloaded: {error}"
        raise DataError(msg) from None
    return _image_folder(path) if spec.format == "image_folder" else _npz(path)


def _function(spec: FunctionSplit) -> RawSplit:
    module_name, _, function_name = spec.function.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        msg = f"split.function: {spec.function} cannot be imported: {error}"
        raise ConfigError(msg) from None
    images: Dataset[Any] = function(**spec.arguments)
    total = hashlib.sha256()
    labels = []
    for i in range(len(images)):  # type: ignore[arg-type] # Dataset does not promise a length, map-style ones have it
        image, label = images[i]
        labels.append(int(label))
        total.update(np.asarray(image).tobytes() + str(int(label)).encode())
    classes = getattr(images, "classes", None)
    return RawSplit(
        name=function_name,
        images=images,
        sample_ids=tuple(f"{i:06d}" for i in range(len(labels))),
        labels=np.array(labels, dtype=np.int64),
        class_names=None if classes is None else tuple(map(str, classes)),
        digest=total.hexdigest(),
    )
