"""Tapping a graph of operators from torch.export by interpreting it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from case_monitor.domain.errors import ModelError, TargetLayerError
from case_monitor.saliency.module_tap import check_calls, picked, unknown_layer
from case_monitor.saliency.outputs import Key, Outputs, put
from case_monitor.saliency.replay import ReplayError
from case_monitor.saliency.target_layer import Layout, TargetLayer, find_layout


class GraphTap:
    """A `Tap` on one layer of an exported graph, which remembers what module each of its operators came from."""

    def __init__(self, model: fx.GraphModule, target: TargetLayer, outputs: Outputs) -> None:
        if not isinstance(target.module, str):
            msg = f"target layer: the name of a layer was expected, a {type(target.module).__name__} came"
            raise TargetLayerError(msg)
        check_free_batch(model)
        self.model = model
        self.name = target.module if target.call is None else f"{target.module}@{target.call}"
        self._target, self._outputs = target, outputs
        layers = dict(layer_outputs(model))
        calls = [node for (layer, _), node in layers.items() if layer == target.module]
        if not calls:
            raise unknown_layer(target.module, list(dict.fromkeys(layer for layer, _ in layers)))
        check_calls(len(calls), target.call, self.name)
        self._node = calls[target.call or 0]

    def logits(self, images: Tensor) -> Tensor:
        return self._outputs.logits(self.model(images), len(images))

    def __call__(self, images: Tensor, edit: Callable[[Tensor], Tensor]) -> Tensor:
        return self._outputs.logits(self._interpreter(edit).run(images), len(images))

    def layout(self, output: Tensor, images: Tensor) -> Layout:
        try:
            return find_layout(output, images, self._target, swin=False)
        except TargetLayerError as error:
            msg = f"target layer {self.name!r}: {error}"
            raise TargetLayerError(msg) from None

    def record(
        self, images: Tensor, edit: Callable[[Tensor], Tensor], *, copy: bool
    ) -> tuple[Tensor, "GraphHead | None"]:
        interpreter = self._interpreter(edit)
        head = GraphHead(self.model, self._node, images, self._target.key, self._outputs, copy=copy)
        interpreter.after = head.remember
        return self._outputs.logits(interpreter.run(images), len(images)), head

    def _interpreter(self, edit: Callable[[Tensor], Tensor]) -> "_Interpreter":
        def edited(output: object) -> object:
            return put(output, self._target.key, edit(picked(output, self._target.key, self.name)))

        return _Interpreter(self.model, self._node, edited)


class _Interpreter(fx.Interpreter):
    def __init__(self, model: fx.GraphModule, node: fx.Node, edit: Callable[[object], object]) -> None:
        super().__init__(model)
        self._node, self._edit = node, edit
        self.after: Callable[[fx.Node, object], None] = lambda *_: None

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if n is self._node:
            result = self._edit(result)
        self.after(n, result)
        return result


class GraphHead:
    """A `HeadRun`: the operators that depend on the layer, run on what the others gave."""

    def __init__(
        self,
        model: fx.GraphModule,
        node: fx.Node,
        images: Tensor,
        key: Key | None,
        outputs: Outputs,
        *,
        copy: bool,
    ) -> None:
        self._model, self._node, self._images, self._copy = model, node, images, copy
        self._key, self._outputs = key, outputs
        self._behind = _dependants(model, {node})
        self._of_images = _dependants(model, {n for n in model.graph.nodes if n.op == "placeholder"})
        needed = {source for n in self._behind for source in n.all_input_nodes}
        self._needed = (needed - self._behind.keys()) | {node}
        self._values: dict[fx.Node, object] = {}

    def remember(self, node: fx.Node, value: Any) -> None:
        """Keep a value that the operators behind the layer need."""
        if node in self._needed:
            kept = isinstance(value, Tensor) and self._copy
            self._values[node] = value.detach().clone() if kept else value

    def __call__(self, rows: Tensor, image: int | None) -> Tensor:
        interpreter = fx.Interpreter(self._model, garbage_collect_values=False)
        values = {n: self._rows_of(n, value, image, len(rows)) for n, value in self._values.items()}
        values[self._node] = put(values[self._node], self._key, rows)
        before = _versions(self._values)
        interpreter.env = values
        for n in self._behind:
            interpreter.env[n] = interpreter.run_node(n)
            if n.op == "output":
                output = self._model.graph.process_outputs(interpreter.env[n])
        if _versions(self._values) != before:
            msg = "the graph changes in place what an earlier operator gave"
            raise ReplayError(msg)
        return self._outputs.logits(output, len(rows))

    def _rows_of(self, node: fx.Node, value: Any, image: int | None, rows: int) -> Any:
        if node.target is torch.ops.aten.sym_size.int and node.args[1] == 0:
            return rows
        if node not in self._of_images or not _is_batch(value, len(self._images)):
            return value
        if image is not None:
            value = value[image : image + 1].expand(rows, *value.shape[1:])
        return value.clone() if self._copy else value.detach()


def _is_batch(value: object, size: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == size


def _versions(values: dict[fx.Node, object]) -> int:
    return sum(value._version for value in values.values() if isinstance(value, Tensor))


def _dependants(model: fx.GraphModule, sources: set[fx.Node]) -> dict[fx.Node, None]:
    """Every node that depends on one of the sources, without those, in order of execution."""
    found: dict[fx.Node, None] = {}
    for node in model.graph.nodes:
        if any(source in sources or source in found for source in node.all_input_nodes):
            found[node] = None
    return found


def check_free_batch(model: fx.GraphModule) -> None:
    """Whether a graph takes batches of any size.

    Raises:
        ModelError: it was exported for one size only.
    """
    for node in model.graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder" and isinstance(value, Tensor) and value.ndim and type(value.shape[0]) is int:
            msg = (
                f"exported graph: an input with any number of images was expected, exactly {value.shape[0]} came; "
                "export it with a dynamic batch: dynamic_shapes=({0: torch.export.Dim.AUTO},), from two images or more"
            )
            raise ModelError(msg)


def layer_outputs(model: fx.GraphModule) -> list[tuple[tuple[str, str], fx.Node]]:
    """((dotted module name, call), node that holds its output), in order of execution; a call's last node wins.

    torch.export numbers the calls of a module in the keys of its stack: "relu", "relu@1".
    """
    outputs: dict[tuple[str, str], fx.Node] = {}
    for node in model.graph.nodes:
        if node.op == "output":
            continue
        stack = (node.meta.get("nn_module_stack") or {}).items()
        for call, (path, _) in reversed(stack):  # innermost first: of modules with one output, the outermost is last
            if path:
                outputs.pop((path, call), None)  # keep the order of the last node, not of the first
                outputs[path, call] = node
    return list(outputs.items())
