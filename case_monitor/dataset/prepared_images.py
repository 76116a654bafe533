"""Images on their way into the model, and back to what a person would see."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from case_monitor.dataset.pictures import upright, why_no_picture
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.scales import Values, Window, is_deep, values_of, why_no_scale, why_no_values, windowed
from case_monitor.dataset.transform import input_transform, mask_transform
from case_monitor.domain.arrays import BoolArray, IntArray
from case_monitor.domain.errors import CaseMonitorError, ConfigError, DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import Preprocessing

_GREY = {"1", "L", "LA", "La"}


class PreparedImages:
    """The images of a split as the model wants them: an `ImageSource`."""

    def __init__(
        self,
        raw: RawSplit,
        target: IntArray,
        excluded: BoolArray | None,
        preprocessing: Preprocessing | None,
        num_workers: int,
    ) -> None:
        self.sample_ids, self.target, self.excluded = raw.sample_ids, target, excluded
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

    def objects(self, indices: Sequence[int]) -> Tensor | None:
        """(B, H, W) bool, where the object is in the images at `indices`; None where nothing is marked in any."""
        return self._images.objects(indices)

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        """(B, C, H, W) preprocessed images as a person would see them: (B, H, W, 3) uint8.

        Of more than three channels, the first three; of two, the first.
        """
        if self._preprocessing is None:  # prepared by the user's own function: stretch what came to the full range
            low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
            images = (images - low) / (high - low).clamp(min=1e-8)
        else:
            mean = torch.tensor(self._preprocessing.mean).view(-1, 1, 1)
            std = torch.tensor(self._preprocessing.std).view(-1, 1, 1)
            images = images * std + mean
        rgb = images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)
        return (rgb * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


class _Preprocessed(Dataset[Tensor | CaseMonitorError]):
    """Errors are returned, not raised: a worker process would bury them in the text of its traceback."""

    def __init__(self, raw: RawSplit, preprocessing: Preprocessing | None) -> None:
        self._raw = raw
        self._preprocessing = preprocessing
        self._transform = None if preprocessing is None else input_transform(preprocessing)

    def __len__(self) -> int:
        return len(self._raw.sample_ids)

    def __getitem__(self, index: int) -> Tensor | CaseMonitorError:
        try:
            return self._prepared(self._raw.images[index][0], self._raw.sample_ids[index])
        except CaseMonitorError as error:
            return error
        except (Exception, SystemExit) as error:  # a data set may be a user's own code
            return self._unreadable(self._raw.sample_ids[index], error)

    def _unreadable(self, name: str, error: BaseException) -> DataError:
        return DataError(f"image {name!r} of split {self._raw.name!r} cannot be read: {short_message(error)}")

    def objects(self, indices: Sequence[int]) -> Tensor | None:
        """As of `PreparedImages`."""
        if self._raw.objects is None or self._preprocessing is None:
            return None
        place = mask_transform(self._preprocessing)
        masks = [torch.zeros(0, 0, dtype=torch.bool)] if not indices else []
        for index in indices:
            name = self._raw.sample_ids[index]
            try:
                masks.append(place(self._raw.objects.of(name, *self._seen_size(self._raw.images[index][0]))))
            except CaseMonitorError:
                raise
            except (Exception, SystemExit) as error:
                raise self._unreadable(name, error) from None
        return torch.stack(masks)[: len(indices)]

    def _seen_size(self, image: object) -> tuple[int, int]:
        """(H, W) before it is resized."""
        if isinstance(image, Image.Image) and self._preprocessing is not None and self._preprocessing.exif == "apply":
            image = upright(image)
        if isinstance(image, Image.Image):
            return image.height, image.width
        shape = image.array.shape[:2] if isinstance(image, Values) else torch.as_tensor(image).shape[1:]
        return int(shape[0]), int(shape[1])

    def _prepared(self, image: object, name: str) -> Tensor:
        if isinstance(image, Tensor) and image.is_floating_point():
            return image.float()
        if not isinstance(image, Tensor | Image.Image | Values):
            msg = f"split {self._raw.name!r}: PIL images or tensors were expected, {type(image).__name__} came"
            raise DataError(msg)
        problem = _why_not(image, self._preprocessing)
        if problem:
            msg = f"image {name!r} of split {self._raw.name!r}: {problem}"
            raise DataError(msg)
        if self._transform is None or self._preprocessing is None:
            msg = "preprocessing: the model version was logged without it; set it in the configuration"
            raise ConfigError(msg)
        if isinstance(image, Image.Image) and self._preprocessing.exif == "apply":
            image = upright(image)
        return self._transform(_scaled(image, self._preprocessing.window))


def _scaled(image: Tensor | Image.Image | Values, window: Window | None) -> Tensor | Image.Image:
    """Stored values as 0..1, where there is a window; 8 bits as they are."""
    if isinstance(image, Image.Image) and is_deep(image):
        image = values_of(image)
    if not isinstance(image, Values):
        return image
    if window is None:
        msg = "values of an unknown scale came as far as here"
        raise AssertionError(msg)
    return windowed(image, window)


def _why_not(image: Tensor | Image.Image | Values, preprocessing: Preprocessing | None) -> str | None:
    """What keeps an image from being prepared so; None: nothing."""
    if isinstance(image, Tensor):
        problem, scale = _why_no_bytes(image), None
    elif isinstance(image, Values):
        problem, scale = why_no_values(image), image.kind
    else:
        problem = why_no_picture(image)
        scale = f"mode {image.mode}" if is_deep(image) else None
        if not problem and scale:
            problem = why_no_values(values_of(image))
    if problem or preprocessing is None:
        return problem
    return why_no_scale(scale, preprocessing.window) or _why_no_channels(image, len(preprocessing.mean))


def _why_no_channels(image: Tensor | Image.Image | Values, expected: int) -> str | None:
    """Grey becomes RGB, and RGB grey; no other number becomes another: arithmetic would repeat channels in silence."""
    if isinstance(image, Image.Image):
        came = 1 if is_deep(image) or image.mode in _GREY else 3
    else:
        came = image.shape[0] if isinstance(image, Tensor) else image.array.shape[2]
    if came == expected or {came, expected} == {1, 3}:
        return None
    return f"{expected} channels were expected, as many as preprocessing.mean has, {came} came"


def _why_no_bytes(image: Tensor) -> str | None:
    """Other integers would be divided by their type's greatest, which makes nearly nothing of 0..255."""
    if image.ndim != 3:
        return f"a tensor (channels, height, width) was expected, one of shape {tuple(image.shape)} came"
    if image.dtype in {torch.uint8, torch.bool}:
        return None
    return f"a tensor of uint8, or one of floats that is preprocessed already, was expected, one of {image.dtype} came"


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
