"""Models whose layers have no gradients at all."""

import torch
from torch import nn

from case_monitor.domain.errors import ModelError

_QUANTISED = ("torch.ao.nn.quantized", "torch.nn.quantized", "torchao.quantization")
"""Packages of modules, and of weights, in integers."""


def require_gradients(model: nn.Module) -> None:
    """See that layers can be reached and have gradients: what is compiled by TorchScript, or in integers, has none.

    Args:
        model: unwrapped.

    Raises:
        ModelError: it is such a model.
    """
    for name, module in model.named_modules():
        of = f"its module {name!r}" if name else "it"
        if isinstance(module, torch.jit.ScriptModule):
            msg = (
                f"model: a torch.nn.Module or an exported graph was expected, {of} is scripted or traced (TorchScript) "
                "and lets nobody reach its layers; log the module that it was made from, or serialization_format='pt2'"
            )
            raise ModelError(msg)
        if _is_quantised(module):
            msg = (
                f"model: weights in floats were expected, {of} is quantised ({type(module).__name__}), and integers "
                "have no gradients; log the network that was quantised"
            )
            raise ModelError(msg)


def _is_quantised(module: nn.Module) -> bool:
    weights = module.parameters(recurse=False)
    return type(module).__module__.startswith(_QUANTISED) or any(
        type(weight.data).__module__.startswith(_QUANTISED) for weight in weights
    )
