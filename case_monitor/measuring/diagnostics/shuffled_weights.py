"""A copy of a model whose weights are shuffled, the last layers first."""

import copy
import math
import zlib

import numpy as np
import torch
from torch import nn

from case_monitor.domain.errors import ModelError

STAGES = 5
"""Parts of the layers, of which one after the other is shuffled, too."""


class ShuffledWeights:
    """A copy of a model, of whose parameters each keeps its values but not their places.

    Shuffled values keep their scale, so that activations neither vanish nor explode, which drawn ones may let them.

    Args:
        model: stays as it is.
        seed: of the places.
    """

    def __init__(self, model: nn.Module, seed: int) -> None:
        try:
            self._model = copy.deepcopy(model)
        except Exception as error:  # a model may hold anything
            says = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            msg = f"protocol.diagnostics: a model that can be copied was expected for mprt and emprt; {says}"
            raise ModelError(msg) from error
        self._learned = dict(model.named_parameters())
        self._shuffled = {name: _shuffled(values.detach(), name, seed) for name, values in self._learned.items()}
        self._layers = list(dict.fromkeys(_layer(name) for name in reversed(self._learned)))

    @property
    def any(self) -> bool:
        """Whether there are weights at all."""
        return bool(self._learned)

    @torch.no_grad()
    def at(self, stage: int) -> nn.Module:
        """The copy, with the last `stage` of `STAGES` parts of its layers shuffled, and the others as learned."""
        done = set(self._layers[: math.ceil(len(self._layers) * stage / STAGES)])
        for name, parameter in self._model.named_parameters():
            parameter.copy_((self._shuffled if _layer(name) in done else self._learned)[name])
        return self._model


def _layer(name: str) -> str:
    """Of a parameter, by its name."""
    return name.rpartition(".")[0]


def _shuffled(values: torch.Tensor, name: str, seed: int) -> torch.Tensor:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    order = torch.from_numpy(rng.permutation(values.numel())).to(values.device)
    return values.flatten()[order].view(values.shape)
