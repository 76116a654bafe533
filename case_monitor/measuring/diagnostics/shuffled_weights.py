"""A copy of a model whose weights are shuffled, those of the last layers first."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ModelError

STAGES = 5
"""Parts of the layers, of which one after the other is shuffled, too."""

_FIELD = "protocol.diagnostics, mprt and emprt"


class ShuffledWeights:
    """A copy of a model, of whose parameters each keeps its values but not their places.

    Args:
        model: stays as it is.
        answer: what a model says of some images.
        seed: of the places.

    Raises:
        ModelError: it cannot be copied, its copy runs parts of itself, or its answers do not depend on its parameters.
    """

    def __init__(self, model: nn.Module, answer: Callable[[nn.Module], Tensor], seed: int) -> None:
        try:
            self._model = copy.deepcopy(model)
        except Exception as error:  # a model may hold anything
            says = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            raise ModelError(f"{_FIELD}: a model that can be copied was expected; {says}") from error
        self._learned = dict(model.named_parameters())
        rng = np.random.default_rng(seed)
        self._shuffled = {name: _shuffled(values.detach(), rng) for name, values in self._learned.items()}
        with _called(model) as of_model, _called(self._model) as of_copy:
            expected = answer(self._model)
        if of_model:
            msg = f"{_FIELD}: a model whose copy runs by itself was expected, it runs {of_model[0]!r} of the original"
            raise ModelError(msg)
        self._layers = _last_first(self._learned, of_copy)
        if torch.equal(answer(self.at(STAGES)), expected):
            msg = f"{_FIELD}: a model whose answers depend on its parameters was expected"
            raise ModelError(f"{msg}, they stay when all are shuffled; weights that are buffers are no parameters")

    @torch.no_grad()
    def at(self, stage: int) -> nn.Module:
        """The copy, with the last `stage` of `STAGES` parts of its layers shuffled, and the others as learned."""
        done = set(self._layers[: math.ceil(len(self._layers) * stage / STAGES)])
        for name, parameter in self._model.named_parameters():
            parameter.copy_((self._shuffled if _layer(name) in done else self._learned)[name])
        return self._model


def _last_first(parameters: dict[str, nn.Parameter], called: list[str]) -> list[str]:
    """Layers in the order in which they run, backwards; then those that do not, in that of their registration."""
    registered = list(dict.fromkeys(map(_layer, parameters)))
    ran = [name for name in dict.fromkeys(called) if name in registered]
    return [*reversed(ran), *reversed([name for name in registered if name not in ran])]


@contextmanager
def _called(model: nn.Module) -> Iterator[list[str]]:
    """Names of modules, as they are called."""
    names: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda _module, _given, name=name: names.append(name))
        for name, module in model.named_modules()
    ]
    try:
        yield names
    finally:
        for handle in handles:
            handle.remove()


def _layer(name: str) -> str:
    """Of a parameter, by its name."""
    return name.rpartition(".")[0]


def _shuffled(values: Tensor, rng: np.random.Generator) -> Tensor:
    order = torch.from_numpy(rng.permutation(values.numel())).to(values.device)
    return values.flatten()[order].view(values.shape)
