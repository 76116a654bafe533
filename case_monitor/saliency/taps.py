"""Reaching into a model: run it with the target layer's output read, replaced or cut from what came before.

A tap runs the model on images and passes the target layer's output through a function. Modules are tapped by a
forward hook (`module_tap`). A graph loaded from torch.export (MLflow's `pt2`) fires no hooks, so it is tapped by
interpreting it node by node (`graph_tap`). Everything else in this package is written against `Tap` and needs to know
neither.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, fx, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.graph_tap import GraphTap
from case_monitor.saliency.module_tap import ModuleTap
from case_monitor.saliency.outputs import Outputs
from case_monitor.saliency.target_layer import Layout, TargetLayer

Edit = Callable[[Tensor], Tensor]


class HeadRun(Protocol):
    """Runs what stands behind the target layer, from a recorded forward pass."""

    def __call__(self, rows: Tensor, image: int | None) -> Tensor:
        """(n, num_classes) logits when the layer's output is `rows` (n, ...).

        All rows belong to the recorded image number `image`; row i to image i where that is None.
        """
        ...


class Tap(Protocol):
    """Runs a model on images (B, C, H, W) and gives its logits (B, num_classes)."""

    name: str

    @property
    def model(self) -> nn.Module:
        """The model, unwrapped."""
        ...

    def logits(self, images: Tensor) -> Tensor:
        """The model as it is."""
        ...

    def __call__(self, images: Tensor, edit: Edit) -> Tensor:
        """The model with the layer's output (B, ...) replaced by `edit(output)`."""
        ...

    def layout(self, output: Tensor, images: Tensor) -> Layout:
        """How to turn the layer's output into a grid (B, K, h, w)."""
        ...

    def record(self, images: Tensor, edit: Edit, *, copy: bool) -> tuple[Tensor, HeadRun | None]:
        """As a call, and a way to run the part behind the layer again; None where there is none.

        `copy` keeps copies, for models that change in place what a layer returned.
        """
        ...


def is_exported(model: nn.Module) -> TypeGuard[fx.GraphModule]:
    """Whether the model is a graph of operators from torch.export: no module is called, no hook fires, no mode to set.

    A graph from `torch.fx.symbolic_trace` still calls its modules, and is tapped like any other module. The one module
    that newer versions of torch.export do call checks the shapes of the inputs.
    """
    return isinstance(model, fx.GraphModule) and all(
        node.op != "call_module" or node.target == "_guards_fn" for node in model.graph.nodes
    )


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside `DataParallel`, `DistributedDataParallel` or `torch.compile`, whose copies fire no hooks."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def taken_type(model: nn.Module, usual: torch.dtype) -> torch.dtype:
    """The type of the images that a model takes: what a graph was exported with, else that of its largest weights."""
    inner = unwrapped(model)
    if is_exported(inner):
        inputs = (node.meta.get("val") for node in inner.graph.nodes if node.op == "placeholder")
        return next((value.dtype for value in inputs if isinstance(value, Tensor)), usual)
    weights = [p for p in inner.parameters() if p.is_floating_point()]
    return max(weights, key=lambda p: p.numel()).dtype if weights else usual


@contextmanager
def inspecting(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen parameters; what it found is restored, also after an error.

    Frozen parameters keep autograd from recording anything before the target layer.
    """
    training = [] if is_exported(model) else [module for module in model.modules() if module.training]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in trainable:
            parameter.requires_grad_(True)


def tap_layer(model: nn.Module, target_layer: nn.Module | str | TargetLayer, outputs: Outputs | None = None) -> Tap:
    """The tap for a layer of a model.

    Args:
        model: an image classifier, also wrapped for several devices, compiled, or exported.
        target_layer: a module of `model`, its dotted name, or a `TargetLayer`.
        outputs: how the logits are read from what the model returns; None: it returns them.

    Raises:
        TargetLayerError: there is no such layer.
    """
    inner = unwrapped(model)
    target, outputs = resolve_layer(inner, target_layer), outputs or Outputs()
    return GraphTap(inner, target, outputs) if is_exported(inner) else ModuleTap(inner, target, outputs)


def resolve_layer(model: nn.Module, target_layer: nn.Module | str | TargetLayer) -> TargetLayer:
    """What a name says: a module of an unwrapped model, whatever signs its name has; or one with a call, a key, a grid.

    Raises:
        TargetLayerError: it says nothing.
    """
    if isinstance(target_layer, nn.Module):
        return TargetLayer(target_layer)
    if isinstance(target_layer, TargetLayer):
        return target_layer
    if _has_module(model, target_layer):
        return TargetLayer(target_layer)
    if not target_layer:
        msg = "target layer: the name of a module was expected, nothing came"
        raise TargetLayerError(msg)
    return TargetLayer.parse(target_layer)


def _has_module(model: nn.Module, name: str) -> bool:
    """Whether a module has that dotted name; asked for every layer, so that none but those on the way is looked at."""
    module = model
    for part in name.split("."):
        found = module._modules.get(part)
        if found is None:
            return False
        module = found
    return True
