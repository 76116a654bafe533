"""Reaching into a model: run it with the target layer's output read, replaced or cut from what came before.

A tap runs the model on images and passes the target layer's output through a function. Modules are tapped by a
forward hook. A graph loaded from torch.export (MLflow's `pt2`) fires no hooks, so it is tapped by interpreting it
node by node. Everything else in this package is written against `Tap` and needs to know neither.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, fx, nn

from case_monitor.core.errors import ModelError, TargetLayerError

Edit = Callable[[Tensor], Tensor]
_POOLING = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d,
)


class Tap(Protocol):
    """Runs the model on images (B, C, H, W), applies `edit` to the target layer's output, returns the logits."""

    name: str

    def __call__(self, images: Tensor, edit: Edit) -> Tensor:
        """(B, num_classes) logits with the layer's output replaced by `edit(output)`."""
        ...


def is_exported(model: nn.Module) -> TypeGuard[fx.GraphModule]:
    """Whether the model is a graph of operators from torch.export: no module is called, no hook fires, no mode to set.

    A graph from `torch.fx.symbolic_trace` still calls its modules, and is tapped like any other module. The one module
    that newer versions of torch.export do call checks the shapes of the inputs.
    """
    return isinstance(model, fx.GraphModule) and all(
        node.op != "call_module" or node.target == "_guards_fn" for node in model.graph.nodes
    )


@contextmanager
def inspecting(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen parameters; what it found is restored, also after an error.

    Frozen parameters keep autograd from recording anything before the target layer.
    """
    modes = [] if is_exported(model) else [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for module, _ in modes:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter in trainable:
            parameter.requires_grad_(True)


def tap_layer(model: nn.Module, target_layer: nn.Module | str) -> Tap:
    """The tap for `target_layer`, a module of `model` or its dotted name.

    Raises:
        TargetLayerError: there is no such layer.
    """
    if is_exported(model):
        return _GraphTap(model, str(target_layer))
    if isinstance(target_layer, nn.Module):
        names = [name for name, module in model.named_modules() if module is target_layer]
        if not names:
            msg = f"target layer: a module of the model was expected, a foreign {type(target_layer).__name__} came"
            raise TargetLayerError(msg)
        return _ModuleTap(model, target_layer, names[0])
    modules = dict(model.named_modules())
    if target_layer not in modules:
        raise TargetLayerError(_unknown_layer(target_layer, [name for name in modules if name]))
    return _ModuleTap(model, modules[target_layer], target_layer)


def _unknown_layer(name: str, known: list[str]) -> str:
    shown = ", ".join(known[-8:])
    return f"target layer {name!r} does not exist in the model; its last layers are: {shown}"


class _ModuleTap:
    def __init__(self, model: nn.Module, module: nn.Module, name: str) -> None:
        self._model, self._module, self.name = model, module, name

    def __call__(self, images: Tensor, edit: Edit) -> Tensor:
        calls = 0

        def hook(_module: nn.Module, _args: Any, output: Any) -> Tensor:
            nonlocal calls
            calls += 1
            return edit(_spatial(output, self.name))

        handle = self._module.register_forward_hook(hook)
        try:
            logits = self._model(images)
        finally:
            handle.remove()
        _called_once(calls, self.name)
        return _logits(logits, images)


class _GraphTap:
    def __init__(self, model: fx.GraphModule, name: str) -> None:
        self._model, self.name = model, name
        outputs = {layer: node for layer, node in _layer_outputs(model) if layer == name}
        if name not in outputs:
            raise TargetLayerError(_unknown_layer(name, list(dict(_layer_outputs(model)))))
        _called_once(_layer_calls(model, name), name)
        self._node = outputs[name]

    def __call__(self, images: Tensor, edit: Edit) -> Tensor:
        logits = _TappedInterpreter(self._model, self._node, lambda a: edit(_spatial(a, self.name))).run(images)
        return _logits(logits, images)


class _TappedInterpreter(fx.Interpreter):
    def __init__(self, model: fx.GraphModule, node: fx.Node, edit: Edit) -> None:
        super().__init__(model)
        self._node, self._edit = node, edit

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        return self._edit(result) if n is self._node else result


def _layer_outputs(model: fx.GraphModule) -> list[tuple[str, fx.Node]]:
    """(dotted module name, node that holds its output), in order of execution; a module's last node wins."""
    outputs: dict[str, fx.Node] = {}
    for node in model.graph.nodes:
        if node.op == "output":
            continue
        stack = (node.meta.get("nn_module_stack") or {}).values()
        for path, _ in reversed(stack):  # innermost first: of modules with the same output, the outermost comes last
            if path:
                outputs.pop(path, None)  # keep the order of the last node, not of the first
                outputs[path] = node
    return list(outputs.items())


def _layer_calls(model: fx.GraphModule, name: str) -> int:
    """How often the graph runs a module: torch.export numbers the calls in the keys of its stack ("relu", "relu@1")."""
    stacks = (node.meta.get("nn_module_stack") or {} for node in model.graph.nodes)
    return len({key for stack in stacks for key, (path, _) in stack.items() if path == name})


def _spatial(output: Any, name: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 4:
        came = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        msg = f"target layer {name!r}: output of shape (B, K, h, w) was expected, {came} came"
        raise TargetLayerError(msg)
    return output


def _called_once(calls: int, name: str) -> None:
    if calls != 1:
        msg = f"target layer {name!r}: one call per forward pass was expected, {calls} came; name another layer"
        raise TargetLayerError(msg)


def _logits(output: Any, images: Tensor) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(images):
        came = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        msg = f"model output: logits of shape ({len(images)}, num_classes) were expected, {came} came"
        raise ModelError(msg)
    return output


def find_target_layer(model: nn.Module, images: Tensor) -> str:
    """The dotted name of the last layer with spatial output (B, K, h, w), h * w > 1, K > 1, before pooling.

    Adaptive pooling layers are passed over, and so are 1-channel maps such as attention masks.

    Args:
        model: an image classifier.
        images: (B, C, H, W) one batch, to see the shapes.

    Raises:
        TargetLayerError: no layer qualifies; name one.
    """
    with inspecting(model), torch.no_grad():
        name = _last_spatial_node(model, images) if is_exported(model) else _last_spatial_module(model, images)
    if name is None:
        msg = "target layer 'auto': no layer of the model has spatial output (B, K, h, w); name one in the config"
        raise TargetLayerError(msg)
    return name


def _is_spatial(output: Any) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[1] > 1 and output[0, 0].numel() > 1


def _last_spatial_module(model: nn.Module, images: Tensor) -> str | None:
    names: dict[nn.Module, str] = {m: n for n, m in model.named_modules() if n and not isinstance(m, _POOLING)}
    calls: dict[str, int] = {}
    last: list[str] = []

    def hook(module: nn.Module, _args: Any, output: Any) -> None:
        calls[names[module]] = calls.get(names[module], 0) + 1
        if _is_spatial(output):
            last.append(names[module])

    handles = [module.register_forward_hook(hook) for module in names]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return next((name for name in reversed(last) if calls[name] == 1), None)


def _last_spatial_node(model: fx.GraphModule, images: Tensor) -> str | None:
    spatial: set[fx.Node] = set()

    class _Shapes(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if _is_spatial(result) and "adaptive" not in n.name:
                spatial.add(n)
            return result

    _Shapes(model).run(images)
    layers = reversed(_layer_outputs(model))
    return next((name for name, node in layers if node in spatial and _layer_calls(model, name) == 1), None)
