"""How many images to run at once: as many as memory takes well, found by running one."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from case_monitor.saliency.taps import inspecting, unwrapped

# The C library maps larger blocks afresh at every allocation, and each page then faults once: forward passes on the
# CPU get slower per image, not faster, when one activation of the batch exceeds this many bytes.
_CPU_BLOCK = 32 * 2**20
_CPU_ROWS = 64
_GPU_ROWS = 512
_GPU_SHARE = 0.25  # of the free memory: fragments, workspaces and other users take their part
SMALL_BATCH = 8  # not worth the look at one image


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one image needs: bytes of the largest tensor, and of all of them together."""

    largest: int
    total: int


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the new tensors that operators make; views and what is changed in place are not new."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes = [1]

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        _types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        output = func(*args, **(kwargs or {}))
        old = {t.untyped_storage().data_ptr() for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        new = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for t in pytree.tree_leaves(output)
            if isinstance(t, Tensor)
        }
        self.sizes += [size for place, size in new.items() if place not in old]
        return output


def footprint(run: Callable[[], object]) -> Footprint:
    """What `run`, on one image, needs."""
    with torch.no_grad(), _Watch() as watch:
        run()
    return Footprint(max(watch.sizes), sum(watch.sizes))


def most_rows(device: str) -> int:
    """The most images that are ever run at once on a device."""
    return _GPU_ROWS if torch.device(device).type == "cuda" else _CPU_ROWS


def rows_that_fit(needs: Footprint, device: torch.device) -> int:
    """How many images with these needs to run at once on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return max(1, min(_GPU_ROWS, int(_GPU_SHARE * free) // needs.total))
    return max(1, min(_CPU_ROWS, _CPU_BLOCK // needs.largest))


_footprints: weakref.WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Footprint]] = weakref.WeakKeyDictionary()


def batch_size_for(model: nn.Module, images: Tensor) -> int:
    """How many images like these (B, C, H, W) to run through a model at once, on the device that they are on.

    One image is run to see; what was seen is remembered with the model.
    """
    model = unwrapped(model)
    seen = _footprints.setdefault(model, {})
    key = (images.shape[1:], images.dtype, images.device.type)
    if key not in seen:
        with inspecting(model):
            seen[key] = footprint(lambda: model(images[:1].clone()))  # it may change its input
    return rows_that_fit(seen[key], images.device)
