"""Which output of which module is explained, and how it is laid out: channels first, channels last, or tokens."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.outputs import Key

Reshape = Callable[[Tensor], Tensor]
_NAME = re.compile(
    r"(?P<name>[^@\[\]{}]*)(@(?P<call>\d+))?(\[(?P<key>[^\[\]]+)\])?"
    r"(\{(?P<before>\d+)\+(?P<h>\d+)x(?P<w>\d+)(\+(?P<after>\d+))?\})?"
)
_LEAST_SIDE = 4  # of a grid beside several other tokens: a few tokens more or less make any smaller one
MOST_EXTRA = 9
"""Tokens beside those of a grid that are looked for: class tokens, registers."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """How the tokens of an output (B, tokens, K) stand: some before the grid's, those row by row, some after.

    Example:
        >>> str(Tokens(1, (14, 14))), str(Tokens(1, (14, 14), 4))
        ('{1+14x14}', '{1+14x14+4}')
    """

    before: int
    grid: tuple[int, int]
    after: int = 0

    def __str__(self) -> str:
        after = f"+{self.after}" if self.after else ""
        return f"{{{self.before}+{self.grid[0]}x{self.grid[1]}{after}}}"

    def to_grid(self, output: Tensor) -> Tensor:
        """(B, tokens, K) -> (B, K, h, w)."""
        h, w = self.grid
        return torch.unflatten(output[:, self.before : self.before + h * w].transpose(1, 2), 2, self.grid)


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
        tokens: where an output of tokens has those of the grid; None finds it.

    Example:
        >>> TargetLayer.parse("layer4.1.relu@1")
        TargetLayer(module='layer4.1.relu', call=1, key=None, reshape=None, tokens=None)
        >>> TargetLayer.parse("encoder[hidden]").key
        'hidden'
        >>> TargetLayer.parse("blocks.11.norm1{1+14x14}").tokens
        Tokens(before=1, grid=(14, 14), after=0)
    """

    module: nn.Module | str
    call: int | None = None
    key: Key | None = None
    reshape: Reshape | None = None
    tokens: Tokens | None = None

    @classmethod
    def parse(cls, text: str) -> "TargetLayer":
        """From `name`, `name@call`, `name[key]`, `name{1+14x14}`, or all of them, as a configuration has it.

        In braces stand the tokens before the grid, the grid, and, after another +, the tokens after it.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            msg = f"target layer: a name, name@call, name[key] or name{{1+14x14}} was expected, {text!r} came"
            raise TargetLayerError(msg)
        call, key = match["call"], match["key"]
        tokens = match["h"] and Tokens(
            int(match["before"]), (int(match["h"]), int(match["w"])), int(match["after"] or 0)
        )
        return cls(
            module=match["name"],
            call=int(call) if call else None,
            key=int(key) if key and key.isdecimal() else key,
            tokens=tokens or None,
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """How a layer's output is turned into a grid: `to_grid` (B, ...) -> (B, K, h, w); `channel_dim` holds K."""

    to_grid: Reshape
    channel_dim: int


def find_layout(output: Tensor, images: Tensor, target: TargetLayer, *, swin: bool) -> Layout:
    """The layout of an output.

    Args:
        output: (B, ...) of the layer.
        images: (B, C, H, W) that it is of.
        target: may say where the grid is.
        swin: the model keeps channels last, which decides where the shape leaves it open.

    Raises:
        TargetLayerError: the output has no grid, or its rows are not the images.
    """
    shape, image_size = output.shape, images.shape[-2:]
    if len(shape) and len(output) != len(images):
        msg = (
            f"a row for each of {len(images)} images was expected, {len(output)} came, of windows or crops as it seems"
        )
        raise TargetLayerError(msg)
    if target.reshape is not None:
        return Layout(target.reshape, _channel_dim(shape, target.reshape))
    if target.tokens is not None:
        return _declared_layout(shape, target.tokens)
    if len(shape) == 4:
        first, last = _fits(shape[2:], image_size), _fits(shape[1:3], image_size)
        if last and (swin or not first):
            return Layout(lambda a: a.permute(0, 3, 1, 2), 3)
        return Layout(lambda a: a, 1)
    if len(shape) == 3:
        return _token_layout(shape, image_size)
    msg = f"output of shape (B, K, h, w), (B, h, w, K) or (B, tokens, K) was expected, shape {tuple(shape)} came"
    raise TargetLayerError(msg)


def has_shape_of(output: Tensor, images: Tensor) -> bool:
    """Whether an output (B, K, h, w) or (B, h, w, K) has the images' proportions."""
    shape, size = output.shape, images.shape[-2:]
    return len(shape) == 4 and (_fits(shape[2:], size) or _fits(shape[1:3], size))


def _declared_layout(shape: Sequence[int], tokens: Tokens) -> Layout:
    count = tokens.before + tokens.grid[0] * tokens.grid[1] + tokens.after
    if len(shape) != 3 or shape[1] != count:
        msg = f"output of shape (B, {count}, K) was expected by {tokens}, shape {tuple(shape)} came"
        raise TargetLayerError(msg)
    return Layout(tokens.to_grid, 2)


def _token_layout(shape: Sequence[int], image_size: Sequence[int]) -> Layout:
    found = next(iter(token_grids(shape[1], image_size)), None)
    if found is None:
        msg = (
            f"tokens on a grid like the image's {image_size[0]}x{image_size[1]}, with up to {MOST_EXTRA} others, were "
            f"expected, shape {tuple(shape)} came; give `reshape`, or say where they are, as in name{{1+14x14}}"
        )
        raise TargetLayerError(msg)
    return Layout(found.to_grid, 2)


def token_grids(tokens: int, image_size: Sequence[int]) -> Iterator[Tokens]:
    """How so many tokens may be those of a grid like the image's and some others, the likeliest first.

    Class tokens and registers mostly stand in front; some put registers at the end.
    """
    for extra in range(MOST_EXTRA + 1):
        for grid in _grids(tokens - extra, image_size)[:1]:
            if extra > 1 and min(grid) < _LEAST_SIDE:
                continue
            for before in (extra, *range(extra)):
                yield Tokens(before, grid, extra - before)


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
