"""The automatic target layer: the last one with a grid of which the logits make use, before pooling."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.follows_image import follows_image
from case_monitor.saliency.gradient_modes import keeping_gradients
from case_monitor.saliency.layer_run import Ran, run_looking
from case_monitor.saliency.module_tap import keeps_channels_last
from case_monitor.saliency.no_gradients import require_gradients
from case_monitor.saliency.outputs import Outputs
from case_monitor.saliency.taps import Tap, inspecting, is_exported, resolve_layer, tap_layer, unwrapped
from case_monitor.saliency.target_layer import find_layout, has_shape_of, token_grids
from case_monitor.saliency.token_mixing import is_inside

_ONE_BLOCK = 8
"""Layers with weights in a block, behind whose first norm a transformer's last attention lies."""
_NAMED = 5
"""Layers that an error lists."""
Grids = Callable[[str, Tensor], Tensor]
"""A layer, as it is spelled, and its output or the gradient there -> (B, K, h, w)."""


def find_target_layer(model: nn.Module, images: Tensor, outputs: Outputs | None = None) -> str:
    """The dotted name of the last layer with a grid (h * w > 1, K > 1), before pooling, that the logits depend on.

    Passed over are adaptive pooling layers, layers that run more than once, 1-channel maps such as masks, layers whose
    grid has no influence on the logits, as behind a transformer's last attention, what stands inside of attention
    (keys, values, attention matrices), and grids that do not change where the image is changed.

    Args:
        model: an image classifier.
        images: (B, C, H, W) one batch, to see the shapes; two images are enough.
        outputs: how the logits are read from what the model returns; None: it returns them.

    Raises:
        TargetLayerError: no layer qualifies; name one.
    """
    model, outputs = unwrapped(model), outputs or Outputs()
    ran, reached = reached_layers(model, images, outputs)
    passed_over: list[str] = []
    for name, spellings in reversed([one for one in reached if one[1]] or [(name, [name]) for name, _ in reached[-1:]]):
        if passed_over and ran.weights[name] < ran.weights[passed_over[0]]:
            break  # what comes before other weights is not the same picture a little earlier
        spelled = picture_of(model, ran, name, spellings, images, outputs)
        if spelled is not None:
            _require_late(ran, name)
            return spelled
        passed_over.append(name)
    raise TargetLayerError(_why_none(ran, passed_over, len(images)))


def reached_layers(model: nn.Module, images: Tensor, outputs: Outputs) -> tuple[Ran, list[tuple[str, list[str]]]]:
    """Layers with a grid on which the logits depend, in the order in which they run, each as it may be spelled."""
    require_gradients(model)
    with inspecting(model), torch.inference_mode(False), torch.enable_grad(), keeping_gradients():
        given = images.detach().clone().requires_grad_().clone()  # no leaf: a model may change its input in place
        ran = run_looking(model, given)
        grids = _grids(model, images)
        used = _used(ran, grids, outputs.logits(ran.returned, len(images)))
        return ran, [(name, _reached(name, ran, gradient, grids, images)) for name, gradient in used]


def picture_of(
    model: nn.Module, ran: Ran, name: str, spellings: Sequence[str], images: Tensor, outputs: Outputs
) -> str | None:
    """How a layer is spelled at whose output the image is seen best; None: it does not change where the image does."""
    surely = not has_shape_of(ran.output_of(name), images)
    fits = [follows_image(_grid_of(model, one, outputs), images[:2], surely=surely) for one in spellings]
    best = max(range(len(fits)), key=lambda i: (fits[i].follows, fits[i].score))  # the first of equal ones
    return spellings[best] if fits[best].follows else None


def require_picture(model: nn.Module, name: str, images: Tensor, outputs: Outputs) -> None:
    """See that a layer that somebody named changes where the image is changed.

    Args:
        model: an image classifier.
        name: of the layer.
        images: (B, C, H, W) one batch.
        outputs: how the logits are read from what the model returns.

    Raises:
        TargetLayerError: it does not, or has no grid.
    """
    model = unwrapped(model)
    require_gradients(model)
    output = _output_of(tap_layer(model, name, outputs), images)
    surely = not has_shape_of(output, images)
    if not surely and output.shape[2] == output.shape[3]:
        with inspecting(model), torch.no_grad():
            surely = _is_attention(output, run_looking(model, images.clone()).tokens)
    if not follows_image(_grid_of(model, name, outputs), images[:2], surely=surely).follows:
        msg = (
            f"target layer {name!r}: its output of shape {tuple(output.shape)} does not change where the image is "
            "changed, so that its maps are no picture of it; name another layer, or say where the grid is among the "
            "tokens, as in name{1+14x14}"
        )
        raise TargetLayerError(msg)


def _grids(model: nn.Module, images: Tensor) -> Grids:
    """As taps have them, of which one for each layer of a deep model would take longer than running it."""
    swin = not is_exported(model) and keeps_channels_last(model)

    def grid(spelled: str, output: Tensor) -> Tensor:
        return find_layout(output, images, resolve_layer(model, spelled), swin=swin).to_grid(output)

    return grid


def _used(ran: Ran, grids: Grids, logits: Tensor) -> list[tuple[str, Tensor]]:
    """Layers with a grid, with the gradients of the logits that come there; weights that none come to are forgotten."""
    tokens = ran.tokens
    candidates = [
        (name, output)
        for name, output in ran.outputs
        if not any(is_inside(name, other) for other in ran.attention)
        and not _is_attention(output, tokens)
        and _is_grid(grids, name, output)
    ]
    wanted = [output for _, output in candidates]
    gradients = _gradients(logits, wanted + ran.weighted)
    counts = [0]
    for output, gradient in zip(ran.weighted, gradients[len(wanted) :], strict=True):
        counts.append(counts[-1] + (gradient is not None and output[0].numel() > max(output.shape[1:])))
    ran.weights.update({name: counts[run] for name, run in ran.weights.items()})
    return [(name, g) for (name, _), g in zip(candidates, gradients, strict=False) if g is not None]


def _reached(name: str, ran: Ran, gradient: Tensor, grids: Grids, images: Tensor) -> list[str]:
    """The name, with all places of the grid among the tokens at which gradients reach more than a class token or two.

    They reach nothing where a head starts with zeros, as some architectures do.
    """
    found = []
    for spelled in _spelled(name, ran, images):
        cells = grids(spelled, gradient).abs().sum(1).amax(0) > 0
        if int(cells.sum()) >= min(3, cells.numel()):
            found.append(spelled)
    return found


def _spelled(name: str, ran: Ran, images: Tensor) -> Iterator[str]:
    """The name, and the name with other places of the grid among the tokens."""
    yield name
    output = ran.output_of(name)
    if output.ndim == 3:
        others = list(token_grids(output.shape[1], images.shape[-2:]))[1:]
        yield from (f"{name}{tokens}" for tokens in others)


def _is_attention(output: Tensor, tokens: set[int]) -> bool:
    """Whether it is (B, heads, N, N) beside N tokens."""
    return output.ndim == 4 and output.shape[2] == output.shape[3] and output.shape[2] in tokens


def _is_grid(grids: Grids, name: str, output: Tensor) -> bool:
    try:
        grid = grids(name, output)
    except TargetLayerError:
        return False
    return grid.shape[1] > 1 and grid[0, 0].numel() > 1


def _grid_of(model: nn.Module, name: str, outputs: Outputs) -> Callable[[Tensor], Tensor]:
    """Images (B, C, H, W) -> the layer's grid (B, K, h, w)."""
    tap = tap_layer(model, name, outputs)

    def grids(images: Tensor) -> Tensor:
        output = _output_of(tap, images)
        return tap.layout(output, images).to_grid(output)

    return grids


def _output_of(tap: Tap, images: Tensor) -> Tensor:
    """The layer's output, as it is when it is given."""
    seen: list[Tensor] = []

    def look(output: Tensor) -> Tensor:
        seen.append(output.detach().clone())
        return output

    with inspecting(tap.model), torch.no_grad():
        tap(images.clone(), look)
    return seen[-1]


def _gradients(logits: Tensor, outputs: list[Tensor]) -> list[Tensor | None]:
    """Of a random weighting of the logits, so that nothing cancels; ones where nothing was recorded."""
    if not logits.requires_grad:
        return [torch.ones_like(output) for output in outputs]
    weights = torch.rand(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
    recorded = [output for output in outputs if output.requires_grad]
    found = iter(torch.autograd.grad((logits * weights).sum(), recorded, allow_unused=True) if recorded else ())
    return [next(found) if output.requires_grad else None for output in outputs]


def _require_late(ran: Ran, name: str) -> None:
    """See that no large part of the model comes later, in a layout that is not known.

    Raises:
        TargetLayerError: it does; the first layer that fits is no explanation of the others.
    """
    total = max(ran.weights.values(), default=0)
    later = total - ran.weights[name]
    if later > _ONE_BLOCK and 2 * later > total:
        last = max(ran.weights, key=lambda other: ran.weights[other])
        msg = (
            f"target layer 'auto': {name!r} would be taken, and {later} of {total} layers come later, {last!r} among "
            "them, in no layout that is known, (B, K, h, w), (B, h, w, K) or (B, tokens, K); name one of them in the "
            "config, or give `reshape`"
        )
        raise TargetLayerError(msg)


def _why_none(ran: Ran, passed_over: list[str], size: int) -> str:
    msg = (
        "target layer 'auto': no layer of the model has spatial output (B, K, h, w), (B, h, w, K) or (B, tokens, K) "
        "that the logits depend on"
    )
    if passed_over:
        listed = ", ".join(map(repr, passed_over[:_NAMED])) + (", ..." if len(passed_over) > _NAMED else "")
        msg += f" and that changes where the image is changed ({listed} do not)"
    msg += "; name one in the config"
    if ran.several:
        last = ran.several[-1]
        msg += f" ({last!r} runs several times and was passed over: its second call is {last + '@1'!r})"
    elif ran.more_rows:
        name, rows = ran.more_rows
        msg += f" ({name!r} gives {rows} rows for {size} images, as of windows, crops or copies: log what is inside)"
    return msg
