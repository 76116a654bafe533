"""Tensors inside what modules return: one entry of a tuple or a dict, and the logits of a model."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from case_monitor.domain.errors import ModelError
from case_monitor.domain.protocol import AUTO, LOGITS, SIGMOID, SOFTMAX

Key = int | str
"""Where a tensor stands in a tuple (index) or in a dict or a record (name)."""
_HALVES = {torch.float16, torch.bfloat16}
_SUM, _SUM_16_BITS = 1e-5, 1e-2  # by which the probabilities of 1000 classes may miss 1


def pick(output: Any, key: Key | None) -> Any:
    """The entry of `output` at `key`; `output` itself without a key.

    Raises:
        LookupError: there is no such entry.
    """
    if key is None:
        return output
    if isinstance(key, str) and not isinstance(output, Mapping):
        if not hasattr(output, key):
            raise LookupError(key)
        return getattr(output, key)
    try:
        return output[key]
    except TypeError as error:
        raise LookupError(key) from error


def put(output: Any, key: Key | None, value: Tensor) -> Any:
    """A copy of `output` with `value` at `key`; `value` itself without a key."""
    if key is None:
        return value
    if isinstance(output, tuple):
        place = output._fields.index(key) if isinstance(key, str) else key  # type: ignore[attr-defined]
        entries = [*output]
        entries[place] = value
        return type(output)(*entries) if hasattr(output, "_fields") else tuple(entries)
    changed = copy.copy(output)
    changed[key] = value
    return changed


@dataclass(slots=True)
class Outputs:
    """How the logits are read from what a model returns; `auto` becomes what the first output shows it to be.

    Attributes:
        key: which entry holds them, where it is a tuple, a dict or a record. Without one, an entry named `logits` is
            taken (GoogLeNet's, Inception's, or those of a transformer library); a plain tuple needs one, because its
            order means nothing.
        kind: what stands there: `logits`, or probabilities by `softmax` or `sigmoid`; `auto` tells logits from softmax.
        groups: (C,) for each of the model's classes, as which of fewer it counts; empty: each is its own.
    """

    key: Key | None = None
    kind: str = LOGITS
    groups: tuple[int, ...] = ()

    def logits(self, output: object, rows: int) -> Tensor:
        """(rows, C) the logits; with groups (rows, number of groups).

        The logarithm of a softmax's probabilities is its logits up to what all share, which no probability depends on.
        One column z, a sigmoid's logit, is two classes: [-z/2, z/2]. What is no probability is NaN; what is too near to
        0 or 1 for its type counts as the last that is not. The logit of a group is the logarithm of the sum of its
        members' exponentials: its softmax is the sum of theirs.

        Raises:
            ModelError: there are none.
        """
        values = self._values(output, rows)
        if self.kind == AUTO:
            self.kind = SOFTMAX if _are_softmax(values) else LOGITS
        if self.kind in {SOFTMAX, SIGMOID}:
            _require_room(values, self.kind)
        if self.kind == SOFTMAX:
            values = _log(values, torch.finfo(values.dtype).tiny)
        elif self.kind == SIGMOID:
            eps = torch.finfo(values.dtype).eps / 2  # 1 - p has no smaller values but 0
            values = _log(values, torch.finfo(values.dtype).tiny) - _log(1 - values, eps)
        values = values if values.shape[1] > 1 else torch.cat([-values / 2, values / 2], dim=1)
        return grouped(values, self.groups) if self.groups else values

    def _values(self, output: object, rows: int) -> Tensor:
        """(rows, C) floating-point numbers, of which C may be 1."""
        key = "logits" if self.key is None and not isinstance(output, Tensor) else self.key
        try:
            values = pick(output, key)
        except (LookupError, TypeError):
            wanted = f"an entry {key!r}" if key != "logits" else "a tensor, or a dict or record with an entry 'logits'"
            msg = f"model output: {wanted} was expected, {_described(output)} came; name the entry with `output_key`"
            raise ModelError(msg) from None
        if isinstance(values, Tensor) and values.ndim == 1:
            values = values.unsqueeze(1)
        if not isinstance(values, Tensor) or values.ndim != 2 or len(values) != rows or not values.shape[1]:
            msg = f"model output: logits of shape ({rows}, num_classes) were expected, {_described(values)} came"
            raise ModelError(msg)
        if not values.is_floating_point():
            kind = str(values.dtype).removeprefix("torch.")
            msg = f"model output: floating-point logits were expected, the logits are integers ({kind})"
            raise ModelError(msg)
        return values


def grouped(logits: Tensor, groups: Sequence[int]) -> Tensor:
    """(rows, G) log of the sum of exp over the logits (rows, C) of each group; `groups` (C,) are from 0 to G - 1.

    Raises:
        ModelError: there are more or fewer logits than that.
    """
    if logits.shape[1] != len(groups):
        msg = f"model output: {len(groups)} logits were expected, one for each class of the class map"
        raise ModelError(f"{msg}, {logits.shape[1]} came")
    index = torch.tensor(groups, device=logits.device)
    wide = logits.float() if logits.dtype in _HALVES else logits
    top = wide.detach().new_full((len(wide), max(groups) + 1), -torch.inf)
    top = top.scatter_reduce(1, index.expand_as(wide), wide.detach(), "amax")  # so that no exponential overflows
    total = torch.zeros_like(top).index_add(1, index, (wide - top[:, index]).exp())
    return (total.log() + top).to(logits.dtype)


def _are_softmax(values: Tensor) -> bool:
    """Whether every row is probabilities that sum to 1; zeros and ones alone may be anything."""
    if values.shape[1] == 1 or not bool((values >= 0).all()) or bool(((values == 0) | (values == 1)).all()):
        return False
    total = values.sum(1, dtype=torch.float64)
    allowed = _SUM_16_BITS if values.dtype in _HALVES else _SUM
    return torch.allclose(total, torch.ones_like(total), rtol=0, atol=allowed)


def _require_room(values: Tensor, kind: str) -> None:
    """See that there is room for small probabilities.

    Raises:
        ModelError: they are of 16 bits, in which 1/p, their gradient, is infinite where there is room for p.
    """
    if values.dtype in _HALVES:
        name = str(values.dtype).removeprefix("torch.")
        msg = f"model output: probabilities of a {kind} in {name} have no room for small ones; return the logits"
        raise ModelError(msg)


def _log(values: Tensor, least: float) -> Tensor:
    """What is smaller, but no less than 0, counts as `least`; what is less than 0 has none."""
    return torch.where(values < 0, torch.nan, values.clamp(min=least)).log()


def _described(output: object) -> str:
    if isinstance(output, Tensor):
        return f"shape {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} of {', '.join(map(str, output))}"
    return f"a {type(output).__name__}"
