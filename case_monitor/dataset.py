"""Validation splits: read by a spec from the configuration, preprocessed for the model, named by a digest."""

import hashlib
import importlib
import json
import os
import shutil
import tempfile
import weakref
import zipfile
import zlib
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
from case_monitor.foreign_errors import short_message
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
        images: dataset of (image, class index). An image is a PIL image, a uint8 tensor (C, H, W), or a float tensor
            (C, H, W) that is preprocessed already.
        sample_ids: stable names.
        labels: (N,) class indices in the data set's own order.
        class_names: the data set's own, or None.
        digest: SHA-256 of the images and their names; `prepare` adds targets, class names and preprocessing.
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
        loader: DataLoader[Tensor | CaseMonitorError] = DataLoader(
            Subset(self._images, list(indices)),
            batch_size=batch_size,
            num_workers=self._num_workers,
            # Not forked: a fork of a process with threads, as Prefect's is, may hang or die.
            multiprocessing_context="spawn" if self._num_workers else None,
            collate_fn=_stack,
        )
        for batch in loader:
            if isinstance(batch, CaseMonitorError):
                raise batch
            yield batch

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


class _Preprocessed(Dataset[Tensor | CaseMonitorError]):
    """Errors are returned, not raised: a worker process would bury them in the text of its traceback."""

    def __init__(self, raw: RawSplit, preprocessing: Preprocessing | None) -> None:
        self._raw = raw
        self._transform = None if preprocessing is None else _transform(preprocessing)

    def __len__(self) -> int:
        return len(self._raw.sample_ids)

    def __getitem__(self, index: int) -> Tensor | CaseMonitorError:
        try:
            return self._prepared(self._raw.images[index][0])
        except CaseMonitorError as error:
            return error
        except Exception as error:
            name = self._raw.sample_ids[index]
            return DataError(f"image {name!r} of split {self._raw.name!r} cannot be read: {short_message(error)}")

    def _prepared(self, image: Any) -> Tensor:
        if isinstance(image, Tensor) and image.is_floating_point():
            return image.float()
        if not isinstance(image, Tensor | Image.Image):
            msg = f"split {self._raw.name!r}: PIL images or tensors were expected, {type(image).__name__} came"
            raise DataError(msg)
        if self._transform is None:
            msg = "preprocessing: the model version was logged without it; set it in the configuration"
            raise ConfigError(msg)
        return self._transform(image)


def _stack(images: list[Tensor | CaseMonitorError]) -> Tensor | CaseMonitorError:
    tensors = []
    for image in images:
        if isinstance(image, CaseMonitorError):
            return image
        tensors.append(image)
    shapes = sorted({tuple(image.shape) for image in tensors})
    if len(shapes) > 1:
        msg = (
            "image size (channels, height, width): one for all images was expected, "
            f"{shapes[0]} and {shapes[1]} came; set preprocessing.resize and preprocessing.crop"
        )
        return DataError(msg)
    return torch.stack(tensors)


def _transform(preprocessing: Preprocessing) -> Callable[[Image.Image | Tensor], Tensor]:
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
    transform: Callable[[Image.Image | Tensor], Tensor] = v2.Compose(steps)
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
    # The targets too: in another order of its own classes, a data set has the same images and other targets.
    target_digest = hashlib.sha256(target.tobytes()).hexdigest()
    identity = json.dumps([raw.digest, target_digest, list(names), settings])
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
        source = "" if own else " (by its highest label; it brings no class names)"
        msg = f"number of classes: the data set {raw.name!r} has {count}{source}, the model has {len(names)}"
        raise DataError(msg)
    if own is None or own == names:
        return names, raw.labels
    if set(own) != set(names):
        theirs, ours = sorted(set(own) - set(names)), sorted(set(names) - set(own))
        msg = f"class names: only the data set {raw.name!r} has {theirs[:5]}, only the model has {ours[:5]}"
        raise DataError(msg)
    if len(set(names)) < count:
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"class names: {twice!r} stands twice, so the other order of the data set {raw.name!r} cannot be matched"
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
    low, high = int(raw.labels.min()), int(raw.labels.max())
    if low < 0 or (raw.class_names is not None and high >= len(raw.class_names)):
        top = "" if raw.class_names is None else len(raw.class_names) - 1
        msg = f"split {raw.name!r}: labels in 0..{top} were expected, {low}..{high} came"
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
            total.update(os.fsencode(name) + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _cifar(spec: CifarSplit) -> RawSplit:
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = CIFAR10 if spec.kind == "cifar10" else CIFAR100
    try:
        cifar = dataset(str(spec.path), train=False, download=False)
    except RuntimeError:  # its text advises an argument that is not ours
        msg = f"split: the files of {spec.kind} were expected in {spec.path}; they are missing or damaged"
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
        image = self._images[index]
        return Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image), int(self._labels[index])


def _npz(path: Path) -> RawSplit:
    content = _read_npz(path)
    missing = {"images", "labels"} - content.keys()
    if missing:
        msg = f"split {path.name}: arrays 'images' and 'labels' were expected, {sorted(content)} came"
        raise DataError(msg)
    images, labels = content["images"], content["labels"]
    _check_arrays(path, images, labels)
    labels = labels.astype(np.int64)
    ids = _texts(content.get("ids", np.array([f"{i:06d}" for i in range(len(labels))])))
    if len(ids) != len(labels) or len(set(ids)) < len(ids):
        msg = f"split {path.name}: {len(labels)} different ids were expected, {len(set(ids))} came"
        raise DataError(msg)
    return RawSplit(
        name=path.stem,
        images=_ArrayImages(images, labels),
        sample_ids=ids,
        labels=labels,
        class_names=_texts(content["class_names"]) if "class_names" in content else None,
        digest=hashlib.sha256(json.dumps([images.shape, ids]).encode() + images.tobytes()).hexdigest(),
    )


def _read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        archive = np.load(path, allow_pickle=False)  # object arrays are pickles, so code
        if not isinstance(archive, np.lib.npyio.NpzFile):
            msg = "a single array came"
            raise ValueError(msg)
        with archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        msg = f"split: a NumPy archive (.npz) was expected at {path}: {short_message(error)}"
        raise DataError(msg) from None


def _texts(array: npt.NDArray[Any]) -> tuple[str, ...]:
    return tuple(array.astype(str).ravel().tolist())


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

    directory = tempfile.mkdtemp(prefix="case-monitor-")
    try:
        try:
            path = Path(mlflow.artifacts.download_artifacts(spec.uri, dst_path=directory))
        except Exception as error:
            msg = f"split: the MLflow artifact {short_message(spec.uri)} cannot be downloaded: {short_message(error)}"
            raise DataError(msg) from None
        raw = _image_folder(path) if spec.format == "image_folder" else _npz(path)
    except CaseMonitorError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    weakref.finalize(raw.images, shutil.rmtree, directory, ignore_errors=True)  # a folder's images are read later
    return raw


def _function(spec: FunctionSplit) -> RawSplit:
    module_name, _, function_name = spec.function.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # importing runs the user's code: anything can be raised, and so below
        msg = f"split.function: {spec.function} cannot be imported: {type(error).__name__}: {short_message(error)}"
        raise ConfigError(msg) from error
    try:
        images: Dataset[Any] = function(**spec.arguments)
        labels, digest = _read_through(images)
    except Exception as error:
        msg = f"split: {spec.function} gives no data set of (image, class index): {type(error).__name__}"
        raise DataError(f"{msg}: {short_message(error)}") from error
    classes = getattr(images, "classes", None)
    return RawSplit(
        name=function_name,
        images=images,
        sample_ids=tuple(f"{i:06d}" for i in range(len(labels))),
        labels=labels,
        class_names=None if classes is None else tuple(map(str, classes)),
        digest=digest,
    )


def _read_through(images: Dataset[Any]) -> tuple[IntArray, str]:
    """All labels, and the digest of all images."""
    labels, total = [], hashlib.sha256()
    for i in range(len(images)):  # type: ignore[arg-type] # Dataset does not promise a length, map-style ones have it
        image, label = images[i]
        labels.append(int(label))
        pixels = np.asarray(image.convert() if isinstance(image, Image.Image) else image)  # convert: looks up a palette
        total.update(f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes())
    return np.array(labels, dtype=np.int64), total.hexdigest()
