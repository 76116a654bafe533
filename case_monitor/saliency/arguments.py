"""What a caller gave, seen before any model runs: errors name the argument, what was expected and what came."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.protocol import OUTPUTS
from case_monitor.saliency.target_layer import TargetLayer

_SIZES = ("input", "layer")


def check_arguments(
    model: Any, images: Any, targets: Any, methods: Any, known: Sequence[str], size: Any, batch_size: Any
) -> None:
    """See that arguments of `saliency_maps` are what it says.

    Raises:
        ConfigError: one is not.
    """
    if not isinstance(model, nn.Module):
        raise _wrong("model", "a torch.nn.Module was", _kind(model))
    _check_images(images)
    _check_targets(targets, images)
    _check_methods(methods, known)
    if size not in _SIZES:
        raise _wrong("size", "'input' or 'layer' was", repr(size))
    if batch_size is not None and (not _is_integer(batch_size) or batch_size < 1):
        raise _wrong("batch_size", "1 or more was", repr(batch_size))


def check_ways(target_layer: Any, outputs: Any, amp: Any, progress: Any, switches: Mapping[str, Any]) -> None:
    """See that what is said about the model, and how it is run, is of the kind that it should be.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(target_layer, str | nn.Module | TargetLayer):
        raise _wrong("target_layer", "a name, a module or a TargetLayer was", _kind(target_layer))
    if outputs not in OUTPUTS:
        raise _wrong("outputs", f"one of {', '.join(OUTPUTS)} was", repr(outputs))
    if amp not in {None, torch.float16, torch.bfloat16}:
        raise _wrong("amp", "torch.float16, torch.bfloat16 or None was", repr(amp))
    if progress is not None and not callable(progress):
        raise _wrong("progress", "a function was", _kind(progress))
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise _wrong(name, "True or False was", repr(value))


def check_contrast(contrast_sets: Any, contrast_k: Any) -> None:
    """See that contrast sets are classes with other classes, or with weights.

    Raises:
        ConfigError: they are not.
    """
    if not _is_integer(contrast_k) or contrast_k < 1:
        raise _wrong("contrast_k", "1 or more was", repr(contrast_k))
    if contrast_sets is None:
        return
    if not isinstance(contrast_sets, Mapping):
        raise _wrong("contrast_sets", "a mapping from class indices to other classes was", _kind(contrast_sets))
    for u, members in contrast_sets.items():
        if not _is_integer(u):
            raise _wrong("contrast_sets", "class indices were", f"{u!r}, a {_kind(u)},")
        of = f"contrast set of class {u}"
        if isinstance(members, Tensor) and members.ndim == 1 and not members.is_floating_point():
            members = members.tolist()
        if isinstance(members, str | bytes) or not isinstance(members, Mapping | Sequence):
            raise _wrong(of, "a sequence of classes, or a mapping from classes to weights, was", _kind(members))
        _check_members(of, members)


def check_groups(groups: Any) -> None:
    """See that they are indices from 0 without a gap, of two groups or more; or none.

    Raises:
        ConfigError: they are not.
    """
    expected = "indices of groups from 0 without a gap, one for each class of the model, were"
    if isinstance(groups, str | bytes) or not isinstance(groups, Sequence):
        raise _wrong("groups", expected, _kind(groups))
    for group in groups:
        if not _is_integer(group):
            raise _wrong("groups", expected, f"{group!r}, a {_kind(group)},")
    found = {int(group) for group in groups}
    if groups and (found != set(range(len(found))) or len(found) < 2):
        raise _wrong("groups", expected, f"{sorted(found)[:10]}")


def check_excluded(excluded: Any, targets: Tensor) -> None:
    """See that classes that an image shows, too, are none of its targets; their number is seen with the logits.

    Raises:
        ConfigError: they are of another kind or shape, or one is asked for.
    """
    if excluded is None:
        return
    expected = f"a tensor ({len(targets)}, num_classes) of True and False, a row for each image, was"
    if not isinstance(excluded, Tensor):
        raise _wrong("excluded", expected, _kind(excluded), "; write torch.tensor(...)")
    if excluded.dtype != torch.bool or excluded.ndim != 2 or len(excluded) != len(targets) or not excluded.shape[1]:
        raise _wrong("excluded", expected, f"{tuple(excluded.shape)} of {_type(excluded)}")
    known = (targets >= 0) & (targets < excluded.shape[1])  # others are an error of `targets`
    asked = excluded.gather(1, targets.to(excluded.device, torch.int64).clamp(0, excluded.shape[1] - 1)) & known
    if bool(asked.any()):
        image, place = asked.nonzero()[0].tolist()
        raise _wrong("excluded", "none of the targets was", f"class {int(targets[image, place])} of image {image}")


def _check_members(of: str, members: Any) -> None:
    names = list(members)
    for v in names:
        if not _is_integer(v):
            raise _wrong(of, "class indices were", f"{v!r}, a {_kind(v)},")
    twice = next((v for i, v in enumerate(names) if v in names[:i]), None)
    if twice is not None:
        raise _wrong(of, "each class once was", f"{int(twice)} twice")
    for weight in members.values() if isinstance(members, Mapping) else ():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
            raise _wrong(of, "finite weights of 0 or more were", repr(weight))


def _check_images(images: Any) -> None:
    expected = "a tensor (B, C, H, W), preprocessed, with B at least 1, was"
    if not isinstance(images, Tensor):
        raise _wrong("images", expected, _kind(images))
    if images.ndim != 4 or 0 in images.shape:
        remedy = "; write images[None] for one image" if images.ndim == 3 else ""
        raise _wrong("images", expected, f"{tuple(images.shape)}", remedy)
    if not images.is_floating_point():
        remedy = "; scale and normalise them as in training"
        raise _wrong("images", "floating-point numbers were", _type(images), remedy)
    if not bool(images.isfinite().all()):
        raise _wrong("images", "finite numbers were", "NaN or infinity")


def _check_targets(targets: Any, images: Tensor) -> None:
    expected = f"a tensor ({len(images)}, T) of class indices, one row for each image, was"
    if not isinstance(targets, Tensor):
        raise _wrong("targets", expected, _kind(targets), "; write torch.tensor(...)")
    if targets.ndim != 2 or len(targets) != len(images) or not targets.shape[1]:
        remedy = "; write targets[:, None] for one class of each image" if targets.ndim == 1 else ""
        raise _wrong("targets", expected, f"{tuple(targets.shape)}", remedy)
    if targets.dtype not in {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}:
        raise _wrong("targets", "integers were", _type(targets))


def _check_methods(methods: Any, known: Sequence[str]) -> None:
    if isinstance(methods, str):
        raise _wrong("methods", "a sequence of names was", f"the text {methods!r}", f'; write ("{methods}",)')
    if not isinstance(methods, Sequence):
        raise _wrong("methods", "a sequence of names was", _kind(methods))
    for i, name in enumerate(methods):
        if name not in known:
            meant = _meant(name, known)
            remedy = f"; {meant!r} was probably meant" if meant else ""
            raise _wrong("methods", f"some of {', '.join(known)} were", repr(name), remedy)
        if name in methods[:i]:
            raise _wrong("methods", "each once was", f"{name!r} twice")


def _meant(name: Any, known: Sequence[str]) -> str | None:
    """The method that a name looks like: people write Grad-CAM, GradCAM++, Score CAM."""
    if not isinstance(name, str):
        return None
    plain = "".join(char for char in name.lower() if char.isalnum() or char == "+")
    return next(iter(difflib.get_close_matches(plain, known, n=1, cutoff=0.75)), None)


def _is_integer(value: Any) -> bool:
    """Of whatever library; True and False are none."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and getattr(value, "ndim", 0) == 0


def _type(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _wrong(name: str, expected: str, came: str, remedy: str = "") -> ConfigError:
    return ConfigError(f"{name}: {expected} expected, {came} came{remedy}")
