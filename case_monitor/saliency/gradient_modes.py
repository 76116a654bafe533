"""Gradients through models that switch them off inside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode


class _KeepGradients(TorchFunctionMode):
    """Ignores requests to switch gradients off; `torch.inference_mode` cannot be kept off this way."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        _types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if func is torch._C._set_grad_enabled and args and not args[0]:
            return None
        return func(*args, **(kwargs or {}))


@contextmanager
def keeping_gradients() -> Iterator[None]:
    """Inside, `torch.no_grad()` in the model's own code has no effect."""
    with torch.enable_grad(), _KeepGradients():
        yield
