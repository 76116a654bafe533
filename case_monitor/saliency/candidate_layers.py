"""The layers of a model that could be explained: a few, from the first pictures of the image to the last."""

from collections.abc import Sequence

from torch import Tensor, nn

from case_monitor.saliency.find_layer import picture_of, reached_layers
from case_monitor.saliency.layer_run import Ran
from case_monitor.saliency.outputs import Outputs
from case_monitor.saliency.taps import unwrapped

MOST_LAYERS = 8


def candidate_layers(model: nn.Module, images: Tensor, outputs: Outputs | None = None) -> tuple[str, ...]:
    """Names of up to `MOST_LAYERS` layers with a grid on which the logits depend and that changes where the image does.

    The last one of each size of the grid is among them, and others evenly by the layers with weights before them; of
    those between which there are no weights, as a convolution's, its norm's and its activation's, the last one.

    Args:
        model: an image classifier.
        images: (B, C, H, W) one batch, to see the shapes; two images are enough.
        outputs: how the logits are read from what the model returns; None: it returns them.
    """
    model, outputs = unwrapped(model), outputs or Outputs()
    ran, reached = reached_layers(model, images, outputs)
    pictures = [(name, spellings) for name, spellings in reached if spellings]
    last = {(ran.weights[name], _size(ran, name)): (name, spellings) for name, spellings in pictures}
    found = []
    for name, spellings in _spread(ran, [*last.values()]):
        spelled = picture_of(model, ran, name, spellings, images, outputs)
        if spelled is not None:
            found.append(spelled)
    return tuple(found)


def _size(ran: Ran, name: str) -> tuple[int, ...]:
    return tuple(ran.output_of(name).shape[2:])


def _spread(ran: Ran, layers: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """The last of each size, the latest first where there are too many; then others, far from those."""
    sizes = {_size(ran, name): i for i, (name, _) in enumerate(layers)}
    chosen = sorted(sizes.values())[-MOST_LAYERS:]
    depth = [ran.weights[name] for name, _ in layers]
    while len(chosen) < min(MOST_LAYERS, len(layers)):
        left = [i for i in range(len(layers)) if i not in chosen]
        chosen.append(max(left, key=lambda i: (min(abs(depth[i] - depth[j]) for j in chosen), i)))
    return [layers[i] for i in sorted(chosen)]
