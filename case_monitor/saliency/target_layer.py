"""Which output of which module is explained, and how it is laid out: channels first, channels last, or tokens."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.outputs import Key

Reshape = Callable[[Tensor], Tensor]
_NAME = re.compile(r"(?P<name>[^@\[\]]*)(@(?P<call>\d+))?(\[(?P<key>[^\[\]]+)\])?")


@dataclass(frozen=True, slots=True)
class TargetLayer:
    """A layer, and what to take of it.

    Attributes:
        module: a module of the model, or its dotted name.
        call: which of its calls in one forward pass, counted from 0; None where there is only one.
        key: which entry of its output, where that is a tuple or a dict.
        reshape: from its output (B, ...) to a grid (B, K, h, w), by moving values only (as pytorch-grad-cam's
            `reshape_transform`). None finds it: channels first, channels last (Swin), or tokens with or without a
            class token in front (ViT), whichever fits the shape of the image.

    Example:
        >>> TargetLayer.parse("layer4.1.relu@1")
        TargetLayer(module='layer4.1.relu', call=1, key=None, reshape=None)
        >>> TargetLayer.parse("encoder[hidden]").key
        'hidden'
    """

    module: nn.Module | str
    call: int | None = None
    key: Key | None = None
    reshape: Reshape | None = None

    @classmethod
    def parse(cls, text: str) -> "TargetLayer":
        """From `name`, `name@call`, `name[key]` or `name@call[key]`, as a configuration file has it."""
        match = _NAME.fullmatch(text)
        if match is None:
            msg = f"target layer: a name, name@call or name[key] was expected, {text!r} came"
            raise TargetLayerError(msg)
        call, key = match["call"], match["key"]
        return cls(
            module=match["name"],
            call=int(call) if call else None,
            key=int(key) if key and key.isdecimal() else key,
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """How a layer's output is turned into a grid: `to_grid` (B, ...) -> (B, K, h, w); `channel_dim` holds K."""

    to_grid: Reshape
    channel_dim: int


def find_layout(shape: Sequence[int], image_size: Sequence[int], reshape: Reshape | None, *, swin: bool) -> Layout:
    """The layout of an output of this shape.

    Args:
        shape: of the output, batch first.
        image_size: (H, W) of the image.
        reshape: the user's own way to the grid; None finds it.
        swin: the model keeps channels last, which decides where the shape leaves it open.

    Raises:
        TargetLayerError: the output has no grid.
    """
    if reshape is not None:
        return Layout(reshape, _channel_dim(shape, reshape))
    if len(shape) == 4:
        first, last = _fits(shape[2:], image_size), _fits(shape[1:3], image_size)
        if last and (swin or not first):
            return Layout(lambda a: a.permute(0, 3, 1, 2), 3)
        return Layout(lambda a: a, 1)
    if len(shape) == 3:
        return _token_layout(shape, image_size)
    msg = f"output of shape (B, K, h, w), (B, h, w, K) or (B, tokens, K) was expected, shape {tuple(shape)} came"
    raise TargetLayerError(msg)


def _token_layout(shape: Sequence[int], image_size: Sequence[int]) -> Layout:
    for prefix in (0, 1):  # a class token stands in front
        grids = _grids(shape[1] - prefix, image_size)
        if grids:
            return Layout(functools.partial(_tokens_to_grid, prefix=prefix, grid=grids[0]), 2)
    msg = (
        f"tokens on a grid like the image's {image_size[0]}x{image_size[1]}, with or without a class token, were "
        f"expected, shape {tuple(shape)} came; give `reshape`"
    )
    raise TargetLayerError(msg)


def _tokens_to_grid(output: Tensor, *, prefix: int, grid: tuple[int, int]) -> Tensor:
    """(B, tokens, K) -> (B, K, h, w)."""
    return torch.unflatten(output[:, prefix:].transpose(1, 2), 2, grid)


def _grids(tokens: int, image_size: Sequence[int]) -> list[tuple[int, int]]:
    """(h, w) with h * w = tokens that square patches of the image can make."""
    pairs = [(h, tokens // h) for h in range(1, tokens + 1) if tokens % h == 0]
    return [(h, w) for h, w in pairs if h * w > 1 and _is_patch_grid(h, w, image_size)]


def _is_patch_grid(h: int, w: int, image_size: Sequence[int]) -> bool:
    """Whether some patch size p gives h = floor(H / p) and w = floor(W / p)."""
    height, width = image_size
    return max(height / (h + 1), width / (w + 1)) < min(height / h, width / w)


def _fits(grid: Sequence[int], image_size: Sequence[int]) -> bool:
    """Whether a grid has the image's proportions, give or take one cell."""
    (h, w), (height, width) = grid, image_size
    low = max(height / (h + 1), width / (w + 1))
    high = min(height / (h - 1) if h > 1 else torch.inf, width / (w - 1) if w > 1 else torch.inf)
    return low < high


def _channel_dim(shape: Sequence[int], reshape: Reshape) -> int:
    """The dimension of the output that a reshape makes the channels, seen by what it does to numbered entries."""
    numbered = torch.arange(torch.Size(shape).numel()).view(*shape)
    grid = reshape(numbered)
    if grid.ndim != 4 or len(grid) != shape[0] or torch.unique(grid).numel() != grid.numel():
        msg = (
            f"reshape: moving the values of an output {tuple(shape)} to (B, K, h, w) was expected, "
            f"{tuple(grid.shape)} came"
        )
        raise TargetLayerError(msg)
    places = torch.stack(torch.unravel_index(grid, tuple(shape)))  # (dims, B, K, h, w)
    for dim in range(1, len(shape)):
        of_channel = places[dim][:1, :, :1, :1]
        if bool((places[dim] == of_channel).all()) and torch.unique(of_channel).numel() == grid.shape[1]:
            return dim
    msg = "reshape: one dimension of the output as channels was expected, a mixture came"
    raise TargetLayerError(msg)
