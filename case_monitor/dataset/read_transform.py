"""The transform that a model was trained with, as fields that can be logged with it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms import InterpolationMode

from case_monitor.dataset.transform import input_transform
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.settings import Preprocessing

_CLOSE = 1e-4
"""Of normalised values: rounding, and no level of 255."""
_SIZES = [(64, 64), (332, 245), *((97 + i, 131) for i in range(12)), *((143, 97 + i) for i in range(12))]
"""(height, width) of pictures on which what was read is tried: high and wide, larger and smaller, and with whatever is
left over by a crop, which libraries round in different ways."""
_TO_TENSOR = {"ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ToImage"}
_WITHOUT_FIELDS = {"ToPureTensor", "ToDtype", "ConvertImageDtype", "RGB"}


def preprocessing_of(transform: Any) -> Preprocessing:
    """Read a transform, and see on pictures that nothing of it was lost.

    Args:
        transform: `weights.transforms()` of torchvision; a `Compose` of resizing, cropping, scaling and normalising,
            such as `timm.data.create_transform(**timm.data.resolve_model_data_config(model))`; or an image processor of
            transformers.

    Returns:
        What to log: `model_metadata(preprocessing=preprocessing_of(transform))`.

    Raises:
        ConfigError: the transform has other steps, or makes something else of a picture.

    Example:
        >>> import torch
        >>> from torchvision.transforms import v2
        >>> steps = [v2.Resize(64), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
        >>> preprocessing_of(v2.Compose([v2.Grayscale(), *steps])).resize
        64
    """
    name = type(transform).__name__
    with foreign_code(f"transform: {name}", "is not understood", ConfigError):
        # Of somebody else's class nothing is known but what it does to some pictures.
        module = type(transform).__module__
        if hasattr(transform, "image_mean") and module.startswith("transformers."):
            fields, run = _of_processor(transform), _processed_by(transform)
        elif hasattr(transform, "crop_size") and module == "torchvision.transforms._presets":
            fields, run = _of_preset(transform), transform
        else:
            fields, run = _of_steps(transform), transform
    try:
        preprocessing = Preprocessing.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"transform: {name} cannot be said: {error.errors()[0]['msg']}") from None
    for height, width in _SIZES:
        picture = _picture(height, width)
        with foreign_code(f"transform: {name}", "does not take a picture", ConfigError):
            came = run(picture)
        expected = input_transform(preprocessing)(picture)
        off = _largest_difference(expected, came)
        if off > _CLOSE:
            msg = (
                f"transform: {name} is more than resize, crop and normalise as the fields of preprocessing say: of a "
                f"picture of {width} x {height} pixels it makes {_shape(came)}, and they make {_shape(expected)}"
            )
            if off < float("inf"):
                msg += f", with values up to {off:.3g} apart"
            raise ConfigError(f"{msg}; let a split of kind function prepare the images")
    return preprocessing


def _of_preset(preset: Any) -> dict[str, Any]:
    """Torchvision's `ImageClassification`."""
    return {
        "resize": _size(preset.resize_size),
        "crop": _size(preset.crop_size),
        "interpolation": _interpolation(preset.interpolation),
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
    }


def _of_steps(transform: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    tensors = False
    for step in _flat(transform):
        name = _name(step)
        if name == "Resize":
            fields |= _of_resize(step, tensors)
        elif name == "CenterCrop":
            fields["crop"] = _size(step.size)
        elif name == "Normalize":
            fields |= {"mean": _numbers(step.mean), "std": _numbers(step.std)}
        elif name == "Grayscale" and step.num_output_channels == 1:
            fields |= {"mean": (0.0,), "std": (1.0,)}
        elif name in _TO_TENSOR:
            tensors = True
        elif name not in _WITHOUT_FIELDS:
            msg = f"transform: resize, crop, scale and normalise were expected, a step {name} came"
            raise ConfigError(f"{msg}; let a split of kind function prepare the images")
    return fields


def _name(step: Any) -> str:
    """Of a step that is known; one of somebody else's may do anything under the same name."""
    kind = type(step)
    known = kind.__module__.startswith(("torchvision.transforms", "timm.data"))
    return kind.__name__ if known else f"{kind.__name__} of {kind.__module__}"


def _of_resize(step: Any, tensors: bool) -> dict[str, Any]:
    if step.max_size is not None:
        msg = f"transform: Resize without max_size was expected, {step.max_size} came"
        raise ConfigError(msg)
    fields = {"resize": _size(step.size), "interpolation": _interpolation(step.interpolation)}
    return fields | ({"manner": "tensors", "antialias": bool(step.antialias)} if tensors else {})


def _flat(transform: Any) -> Iterator[Any]:
    if type(transform).__name__ != "Compose":
        yield transform
        return
    for step in transform.transforms:
        yield from _flat(step)


def _of_processor(processor: Any) -> dict[str, Any]:
    """An image processor of transformers."""
    manner = "transformers_pillow" if getattr(processor, "backend", None) == "pil" else "transformers"
    fields: dict[str, Any] = {"manner": manner, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    if processor.do_normalize:
        fields |= {"mean": _numbers(processor.image_mean), "std": _numbers(processor.image_std)}
    if processor.do_resize:
        fields |= _of_size(processor)
        fields["interpolation"] = _interpolation(processor.resample)
    if getattr(processor, "do_center_crop", None):
        fields["crop"] = _height_width(processor.crop_size)
    return fields


def _of_size(processor: Any) -> dict[str, Any]:
    shortest = _get(processor.size, "shortest_edge")
    if shortest is None or _get(processor.size, "longest_edge") is not None:
        return {"resize": _height_width(processor.size)}
    share = getattr(processor, "crop_pct", None)
    if share is None:
        return {"resize": shortest}
    # ConvNeXt's: small images are cut from larger ones, large ones are stretched.
    return {"resize": int(shortest / share), "crop": shortest} if shortest < 384 else {"resize": (shortest, shortest)}


def _height_width(size: Any) -> Any:
    height, width = _get(size, "height"), _get(size, "width")
    if height is None or width is None:
        msg = f"transform: a height and a width, or the shortest edge, were expected, {size} came"
        raise ConfigError(msg)
    return height, width


def _get(size: Any, name: str) -> int | None:
    return size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)


def _processed_by(processor: Any) -> Callable[[Image.Image], Tensor]:
    def processed(picture: Image.Image) -> Tensor:
        pixels: Tensor = processor(images=picture, return_tensors="pt")["pixel_values"][0]
        return pixels

    return processed


def _size(size: Any) -> Any:
    """A number stands for the shorter side, or for a square."""
    values = tuple(size) if isinstance(size, list | tuple) else (size,)
    return values[0] if len(values) == 1 else values


def _numbers(values: Any) -> tuple[float, ...]:
    """As they were written: torch keeps them in single precision."""
    return tuple(float(str(np.float32(v))) for v in np.asarray(values, dtype=np.float64).ravel())


def _interpolation(mode: Any) -> str:
    if isinstance(mode, InterpolationMode | str):
        return str(InterpolationMode(mode).value)
    return Image.Resampling(Image.Resampling.BILINEAR if mode is None else mode).name.lower()


def _picture(height: int, width: int) -> Image.Image:
    """Something smooth with something fine on it, the same at each call."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 7), np.sin(y / 9), np.cos((x + y) / 5)], axis=-1)
    pixels = 127.5 + 80 * waves + random.uniform(-40, 40, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _largest_difference(expected: Tensor, came: Any) -> float:
    if not isinstance(came, Tensor) or came.shape != expected.shape or not came.is_floating_point():
        return float("inf")
    return float((came - expected).abs().max())


def _shape(tensor: Any) -> str:
    if isinstance(tensor, Tensor):
        return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
    return type(tensor).__name__
