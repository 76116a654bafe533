"""One pass of a model in which every layer is looked at: what it gave, in what order, and what mixes tokens."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from case_monitor.saliency.graph_tap import check_free_batch, layer_outputs
from case_monitor.saliency.taps import is_exported
from case_monitor.saliency.token_mixing import Call, mixing, mixing_in_graph

_NOT_LAYERS = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d,
    nn.Flatten,  # (B, K, h * w) may look like tokens
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ran:
    """A pass over the images.

    Attributes:
        outputs: (name, output) of every layer that ran once and gave a batch, in the order they finished.
        several: those that ran more often.
        weights: layer -> how many layers with weights had run when it finished.
        weighted: what those gave, in that order.
        returned: what the model returned.
        attention: the modules in which tokens attend to each other.
        more_rows: the last layer that gave several rows for each image, and how many in all.
    """

    outputs: list[tuple[str, Tensor]]
    several: list[str]
    weights: dict[str, int]
    weighted: list[Tensor]
    returned: object
    attention: frozenset[str]
    more_rows: tuple[str, int] | None = None

    @property
    def tokens(self) -> set[int]:
        """How many tokens there are somewhere."""
        return {output.shape[1] for _, output in self.outputs if output.ndim == 3}

    def output_of(self, name: str) -> Tensor:
        """Of the layer."""
        return next(output for other, output in self.outputs if other == name)


def run_looking(model: nn.Module, images: Tensor) -> Ran:
    """Run an unwrapped model on images (B, C, H, W), which it may change in place."""
    return _run_graph(model, images) if is_exported(model) else _run_module(model, images)


def _run_module(model: nn.Module, images: Tensor) -> Ran:
    names = {m: n for n, m in model.named_modules() if n and not isinstance(m, _NOT_LAYERS)}
    counts: dict[str, int] = {}
    outputs: list[tuple[str, Tensor]] = []
    calls: list[Call] = []
    weights: dict[str, int] = {}
    weighted: list[Tensor] = []
    crowded: dict[str, int] = {}

    def hook(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: Any) -> None:
        name = names[module]
        counts[name] = counts.get(name, 0) + 1
        if _is_batch(output, len(images)):
            outputs.append((name, output))
        elif isinstance(output, Tensor) and output.ndim == 4 and len(output) > len(images):
            crowded[name] = len(output)
        given = tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            calls.append(Call(name, given, first))
            if first.ndim > 2 and any(p.ndim > 1 for p in module.parameters(recurse=False)):
                weighted.append(first)
        weights[name] = len(weighted)

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in names]
    try:
        returned = model(images)
    finally:
        for handle in handles:
            handle.remove()
    return Ran(
        outputs=[(name, output) for name, output in outputs if counts[name] == 1],
        several=[name for name, _ in outputs if counts[name] > 1],
        weights=weights,
        weighted=weighted,
        returned=returned,
        attention=mixing(calls),
        more_rows=next(reversed(crowded.items()), None),
    )


def _run_graph(model: fx.GraphModule, images: Tensor) -> Ran:
    check_free_batch(model)
    values: dict[fx.Node, Tensor] = {}
    weighted: list[Tensor] = []
    so_far: dict[fx.Node, int] = {}

    class _Remember(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            if _is_batch(result, len(images)) and "adaptive" not in n.name:
                values[n] = result
            if isinstance(result, Tensor) and result.ndim > 2 and _has_weights(self, n):
                weighted.append(result)
            so_far[n] = len(weighted)
            return result

    returned = _Remember(model).run(images)
    layers = layer_outputs(model)
    names = [name for (name, _), _ in layers]
    ran = [(name, values[node]) for (name, _), node in layers if node in values]
    return Ran(
        outputs=[(n, o) for n, o in ran if names.count(n) == 1],
        several=[n for n, _ in ran if names.count(n) > 1],
        weights={name: so_far[node] for (name, _), node in layers},
        weighted=weighted,
        returned=returned,
        attention=mixing_in_graph(model),
    )


def _has_weights(run: fx.Interpreter, node: fx.Node) -> bool:
    """Whether an operator takes a parameter of several dimensions."""
    given = [run.env.get(source) for source in node.all_input_nodes if source.op == "get_attr"]
    return any(isinstance(value, Tensor) and value.ndim > 1 for value in given)


def _is_batch(output: object, size: int) -> bool:
    return isinstance(output, Tensor) and output.ndim in {3, 4} and len(output) == size
