"""Under which conditions a version is measured, and its model made ready for it."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ModelError
from case_monitor.domain.protocol import Protocol
from case_monitor.measuring.image_source import ImageSource
from case_monitor.saliency import batch_size_for, fast_weights, find_target_layer, inspecting, logits_of

_TOLERANCE = 1e-3  # relative to the largest logit: a copy runs the same operators, maybe in another order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """The images, how to measure, and where."""

    source: ImageSource
    num_classes: int
    protocol: Protocol
    device: str

    def find_layer(self, model: nn.Module) -> str:
        """The target layer that `auto` stands for."""
        return find_target_layer(model.to(self.device), self._first_images(), output_key=self.protocol.output_key)

    @property
    def size(self) -> int:
        """Images."""
        return len(self.source.sample_ids)

    @contextmanager
    def prepared(self, model: nn.Module) -> Iterator[None]:
        """The model ready for passes over many images."""
        images = self._first_images()
        with inspecting(model.to(self.device)), fast_weights(model, self._logits(model), images):
            yield

    def batch_size(self, model: nn.Module) -> int:
        """How many images to take at once."""
        return self.protocol.batch_size or batch_size_for(model, self._first_images())

    def copied(self, model: nn.Module) -> nn.Module:
        """The same model again.

        Raises:
            ModelError: it cannot be copied, or its copy answers otherwise.
        """
        images = self._first_images()
        try:
            twin = copy.deepcopy(model)
            expected, came = (self._plain(m, images) for m in (model, twin))
        except Exception as error:  # a model may hold anything
            raise ModelError(_no_copy(f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}")) from error
        allowed = _TOLERANCE * expected.nan_to_num(posinf=0, neginf=0).abs().max().item()
        if not torch.allclose(came, expected, rtol=0, atol=allowed, equal_nan=True):
            raise ModelError(_no_copy("the copy returns other logits"))
        return twin

    def _plain(self, model: nn.Module, images: Tensor) -> Tensor:
        with inspecting(model.to(self.device)), torch.no_grad():
            return self._logits(model)(images).float()

    def _logits(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        key = self.protocol.output_key
        return lambda images: logits_of(model(images), key, len(images))

    def _first_images(self) -> Tensor:
        return next(self.source.batches(range(min(2, self.size)), 2)).to(self.device)


def _no_copy(reason: str) -> str:
    return (
        f"engine: a model that can be copied was expected, one copy for each thread; {reason}; "
        "use one worker, or kind ray, which has processes"
    )
