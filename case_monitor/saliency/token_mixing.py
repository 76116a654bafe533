"""Which modules let tokens attend to each other, so that what stands inside of them is no picture of the image.

Keys, values and attention matrices have as many rows as there are tokens, and gradients; what is explained is what goes
into attention, or what comes out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

_PRODUCTS = ("aten.matmul", "aten.bmm", "aten.baddbmm", "aten.einsum", "aten.scaled_dot_product", "aten._scaled_dot")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a module: its tensors in, and the first tensor that came out."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor


def mixing(calls: Sequence[Call]) -> frozenset[str]:
    """The innermost modules in which a token's output depends on another token's input."""
    return _innermost({call.name for call in calls if _mixes(call)})


def mixing_in_graph(model: fx.GraphModule) -> frozenset[str]:
    """The same of an exported graph: the innermost modules that multiply two results, as attention does."""
    found = set()
    for node in model.graph.nodes:
        name = str(node.target)
        if name.startswith(_PRODUCTS) and not any(source.op == "get_attr" for source in node.all_input_nodes):
            paths = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values() if path]
            found.update(paths[-1:])
    return _innermost(found)


def _innermost(names: set[str]) -> frozenset[str]:
    return frozenset(name for name in names if not any(is_inside(other, name) for other in names))


def is_inside(name: str, other: str) -> bool:
    """Whether a module lies within another one."""
    return name.startswith(f"{other}.")


def _mixes(call: Call) -> bool:
    """Whether an output token of the first row depends on several tokens of an input, or on another than itself.

    Attention of a class token alone gives one token, (B, 1, K) or (B, K), for many.
    """
    output = call.output
    if output.ndim not in {2, 3} or not output.requires_grad:
        return False
    inputs = [x for x in call.inputs if x.ndim == 3 and len(x) == len(output) and x.shape[1] > 1 and x.requires_grad]
    if not inputs:
        return False
    first = output[0, 0] if output.ndim == 3 else output[0]
    gradients = torch.autograd.grad(first.sum(), inputs, retain_graph=True, allow_unused=True)
    of = [gradient[0].any(1) for gradient in gradients if gradient is not None]  # (N,) tokens that it depends on
    same = output.ndim == 3
    return any(bool(d[1:].any() if same and len(d) == output.shape[1] else d.sum() > 1) for d in of)
