"""Tensors inside what modules return: one entry of a tuple or a dict, and the logits of a model."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from case_monitor.domain.errors import ModelError

Key = int | str
"""Where a tensor stands in a tuple (index) or in a dict or a record (name)."""


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


def logits_of(output: Any, key: Key | None, rows: int) -> Tensor:
    """The logits (rows, num_classes) in what a model returned.

    Without a key, an entry named `logits` is taken from a dict or a record (GoogLeNet's, Inception's, or those of a
    transformer library); a plain tuple needs one, because its order means nothing.

    Raises:
        ModelError: there are none.
    """
    if key is None and not isinstance(output, Tensor):
        key = "logits"
    try:
        logits = pick(output, key)
    except (LookupError, TypeError):
        wanted = f"an entry {key!r}" if key != "logits" else "a tensor, or a dict or record with an entry 'logits'"
        msg = f"model output: {wanted} was expected, {_described(output)} came; name the entry with `output_key`"
        raise ModelError(msg) from None
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != rows:
        msg = f"model output: logits of shape ({rows}, num_classes) were expected, {_described(logits)} came"
        raise ModelError(msg)
    if not logits.is_floating_point():
        kind = str(logits.dtype).removeprefix("torch.")
        msg = f"model output: floating-point logits were expected, the logits are integers ({kind})"
        raise ModelError(msg)
    return logits


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"shape {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} of {', '.join(map(str, output))}"
    return f"a {type(output).__name__}"
