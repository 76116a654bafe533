"""The automatic target layer: the last one with a grid of which the logits make use, before pooling."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.gradient_modes import keeping_gradients
from case_monitor.saliency.graph_tap import check_free_batch, layer_outputs
from case_monitor.saliency.outputs import Outputs
from case_monitor.saliency.taps import Tap, inspecting, is_exported, tap_layer, unwrapped

_NOT_LAYERS = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d,
    nn.Flatten,  # (B, K, h * w) may look like tokens
)


def find_target_layer(model: nn.Module, images: Tensor, outputs: Outputs | None = None) -> str:
    """The dotted name of the last layer with a grid (h * w > 1, K > 1), before pooling, that the logits depend on.

    Adaptive pooling layers are passed over, and so are layers that run more than once, 1-channel maps such as
    attention masks, and layers whose grid has no influence on the logits, as behind a transformer's last attention.

    Args:
        model: an image classifier.
        images: (B, C, H, W) one batch, to see the shapes; two images are enough.
        outputs: how the logits are read from what the model returns; None: it returns them.

    Raises:
        TargetLayerError: no layer qualifies; name one.
    """
    model = unwrapped(model)
    with inspecting(model), torch.inference_mode(False), torch.enable_grad(), keeping_gradients():
        leaf = images.detach().clone().requires_grad_()
        found, several, returned = _run_graph(model, leaf) if is_exported(model) else _run_module(model, leaf)
        logits = (outputs or Outputs()).logits(returned, len(images))
        candidates = [(name, output) for name, output in found if _is_grid(tap_layer(model, name), output, images)]
        gradients = _gradients(logits, [output for _, output in candidates])
    used = [(name, gradient) for (name, _), gradient in zip(candidates, gradients, strict=True) if gradient is not None]
    for name, gradient in reversed(used):
        if tap_layer(model, name).layout(gradient, images).to_grid(gradient).any():
            return name
    if used:  # a head of zeros, as some architectures start with
        return used[-1][0]
    msg = (
        "target layer 'auto': no layer of the model has spatial output (B, K, h, w), (B, h, w, K) or (B, tokens, K) "
        "that the logits depend on; name one in the config"
    )
    if several:
        msg += f" ({several[-1]!r} runs several times and was passed over: its second call is {several[-1] + '@1'!r})"
    raise TargetLayerError(msg)


def _is_grid(tap: Tap, output: Tensor, images: Tensor) -> bool:
    try:
        grid = tap.layout(output, images).to_grid(output)
    except TargetLayerError:
        return False
    return grid.shape[1] > 1 and grid[0, 0].numel() > 1


def _gradients(logits: Tensor, outputs: list[Tensor]) -> list[Tensor | None]:
    """Of a random weighting of the logits, so that nothing cancels; ones where nothing was recorded."""
    if not logits.requires_grad:
        return [torch.ones_like(output) for output in outputs]
    weights = torch.rand(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
    recorded = [output for output in outputs if output.requires_grad]
    found = iter(torch.autograd.grad((logits * weights).sum(), recorded, allow_unused=True) if recorded else ())
    return [next(found) if output.requires_grad else None for output in outputs]


_Ran = tuple[list[tuple[str, Tensor]], list[str], object]
"""(name, output) of every layer that ran once and gave a batch, in the order they finished; those that ran more often;
and what the model returned."""


def _run_module(model: nn.Module, images: Tensor) -> _Ran:
    names = {m: n for n, m in model.named_modules() if n and not isinstance(m, _NOT_LAYERS)}
    calls: dict[str, int] = {}
    outputs: list[tuple[str, Tensor]] = []

    def hook(module: nn.Module, _args: Any, output: Any) -> None:
        calls[names[module]] = calls.get(names[module], 0) + 1
        if _is_batch(output, len(images)):
            outputs.append((names[module], output))

    handles = [module.register_forward_hook(hook) for module in names]
    try:
        returned = model(images)
    finally:
        for handle in handles:
            handle.remove()
    return [(name, o) for name, o in outputs if calls[name] == 1], [n for n, _ in outputs if calls[n] > 1], returned


def _run_graph(model: fx.GraphModule, images: Tensor) -> _Ran:
    check_free_batch(model)
    values: dict[fx.Node, Tensor] = {}

    class _Remember(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            if _is_batch(result, len(images)) and "adaptive" not in n.name:
                values[n] = result
            return result

    returned = _Remember(model).run(images)
    layers = layer_outputs(model)
    names = [name for (name, _), _ in layers]
    ran = [(name, values[node]) for (name, _), node in layers if node in values]
    return [(n, o) for n, o in ran if names.count(n) == 1], [n for n, _ in ran if names.count(n) > 1], returned


def _is_batch(output: object, size: int) -> bool:
    return isinstance(output, Tensor) and output.ndim in {3, 4} and len(output) == size
