"""The entry point: validate once, run one forward and one backward for all methods, return the maps."""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.methods import METHODS as CATALOGUE
from case_monitor.domain.protocol import AUTO
from case_monitor.saliency.arguments import check_arguments, check_contrast, check_excluded, check_groups, check_ways
from case_monitor.saliency.contrast_weights import ContrastWeights
from case_monitor.saliency.find_layer import find_target_layer
from case_monitor.saliency.forward import Speed
from case_monitor.saliency.memory import SMALL_BATCH, batch_size_for
from case_monitor.saliency.methods.ablationcam import ablationcam, ablationcam_and_centred
from case_monitor.saliency.methods.case import case, case_full, case_soft, case_subspace
from case_monitor.saliency.methods.finercam import finercam
from case_monitor.saliency.methods.gradcam import gradcam, gradcam_of_log_probability, gradcam_plus_plus
from case_monitor.saliency.methods.hirescam import hirescam
from case_monitor.saliency.methods.layercam import layercam
from case_monitor.saliency.methods.occlusion import occlusion, occlusion_and_evidence
from case_monitor.saliency.methods.reciprocam import reciprocam, reciprocam_and_centred
from case_monitor.saliency.methods.scorecam import scorecam, scorecam_and_centred
from case_monitor.saliency.no_gradients import require_gradients
from case_monitor.saliency.outputs import Key, Outputs
from case_monitor.saliency.taps import Tap, inspecting, tap_layer, unwrapped
from case_monitor.saliency.target_layer import TargetLayer
from case_monitor.saliency.trace import Options, Trace, record

METHODS: dict[str, Callable[[Trace], Tensor]] = {
    "case": case,
    "case_full": case_full,
    "case_soft": case_soft,
    "case_subspace": case_subspace,
    "gradcam": gradcam,
    "gradcam_log": gradcam_of_log_probability,
    "gradcam++": gradcam_plus_plus,
    "finercam": finercam,
    "layercam": layercam,
    "hirescam": hirescam,
    "scorecam": scorecam,
    "ablationcam": ablationcam,
    "reciprocam": reciprocam,
    "occlusion": occlusion,
}
"""Name -> function from a `Trace` to maps (B, T, h, w). See each function for its paper and formula."""

_WITH_EVIDENCE: dict[str, Callable[[Trace], tuple[Tensor, ...]]] = {
    "scorecam": scorecam_and_centred,
    "ablationcam": ablationcam_and_centred,
    "reciprocam": reciprocam_and_centred,
    "occlusion": occlusion_and_evidence,
}
CENTRED, OWN_PAIR = "centred", "own pair"
"""Names of the maps that are asked for by `centred`."""

_OF_THE_HEAD = frozenset(("ablationcam", "reciprocam"))
"""Methods that run the part behind the layer again."""
_LOOKED_AT = 2
"""Images that show where the target layer is."""

GRADIENT_METHODS = tuple(method for method in METHODS if CATALOGUE[method].by_gradients)
"""Those that cost one forward and one short backward pass, however many channels there are."""


def saliency_maps(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    target_layer: nn.Module | str | TargetLayer,
    methods: Sequence[str] = ("case",),
    contrast_sets: Mapping[int, Sequence[int] | Mapping[int, float]] | None = None,
    contrast_k: int = 3,
    size: str = "input",
    min_max: bool = False,
    output_key: Key | None = None,
    outputs: str = AUTO,
    groups: Sequence[int] = (),
    excluded: Tensor | None = None,
    batch_size: int | None = None,
    amp: torch.dtype | None = None,
    compile: bool = False,  # noqa: A002 - the name that torch gives it
    progress: Callable[[float, int], None] | None = None,
    more: Callable[[Trace], Mapping[str, Tensor]] | None = None,
    centred: str | None = None,
) -> dict[str, Tensor]:
    """Saliency maps of every method for every target class, from one forward pass of the model per image.

    The model is left as it was found: parameters, buffers, grad flags, mode and hooks. While this runs, nobody else
    may use it.

    Args:
        model: an image classifier that returns logits (B, num_classes), or what `outputs` says; also wrapped in
            `DataParallel`, compiled, or a graph from `torch.export`.
        images: (B, C, H, W), preprocessed.
        targets: (B, T) class indices to explain.
        target_layer: a module of `model`, its dotted name (`name@call` where it runs more than once, `name[key]`
            where it returns a tuple or a dict), or a `TargetLayer`. Its output is (B, K, h, w), (B, h, w, K) or
            (B, tokens, K), with or without a class token in front. "auto" is what `find_target_layer` finds.
        methods: names from `METHODS`.
        contrast_sets: class -> the classes that CASE contrasts it with, or those with weights (for `case_soft`).
            A class that is not in the mapping is contrasted, per image, with its `contrast_k` highest other logits.
        contrast_k: see `contrast_sets`.
        size: "input" for maps at (H, W), upsampled bilinearly; "layer" for (h, w): of the layer's grid, or of the
            method's own windows.
        min_max: scale every map of a method to [0, 1]; a constant one becomes 0.
        output_key: which entry of the model's output holds the logits, where it is a tuple or a dict.
        outputs: what stands there: "logits", or probabilities by "softmax" or "sigmoid", of which the logits are taken
            back; "auto" tells logits from softmax by the first images. One column is two classes.
        groups: (num_classes,) for each class of the model, as which of fewer classes it counts, from 0 without a gap:
            `targets` and `contrast_sets` are of these then, and a logit is the logarithm of the sum of its members'
            exponentials, whose softmax is the sum of theirs.
        excluded: (B, num_classes) bool, classes that an image shows beside its targets, where it may show several:
            CASE contrasts it with none of them.
        batch_size: images per forward pass; None finds what memory takes well.
        amp: run Score-CAM's masked images under autocast with this type; changes rankings a little.
        compile: compile the model for Score-CAM's masked images; worth it for hundreds of images.
        progress: called with the images done (a fraction while one is under way) and the images in all.
        more: further maps by name, made of the same pass; none is called as a method is.
        centred: a method whose maps cost many passes; its maps of centred logits (s_c - mean s), from the same passes,
            are returned as `CENTRED`; and where it has a map of its own of the first target against the second, that
            as `OWN_PAIR`. Of other methods nothing is.

    Returns:
        method -> (B, T, H, W) or (B, T, h, w) maps on the images' device, non-negative; float32, or float64 where the
        model is. And those of `more`, `CENTRED` and `OWN_PAIR`, as they are made; the last may be negative.

    Raises:
        TargetLayerError: the layer does not exist, has no grid, or the logits do not depend on it.
        ConfigError: an argument of another kind or shape, an unknown method, size or class, or a class in its own
            contrast set.
        ModelError: the model does not return logits.
    """
    check_arguments(model, images, targets, methods, tuple(METHODS), size, batch_size)
    check_contrast(contrast_sets, contrast_k)
    check_groups(groups)
    check_excluded(excluded, targets)
    check_ways(target_layer, outputs, amp, progress, {"min_max": min_max, "compile": compile})
    batch_size = None if batch_size is None else int(batch_size)
    if not methods and more is None:
        msg = "methods: at least one name was expected, none came"
        raise ConfigError(msg)
    require_gradients(unwrapped(model))
    read = Outputs(output_key, outputs, tuple(map(int, groups)))
    if isinstance(target_layer, str) and target_layer == AUTO:
        target_layer = find_target_layer(model, images[:_LOOKED_AT], read)
    tap = tap_layer(model, target_layer, read)
    parts: dict[str, list[Tensor]] = defaultdict(list)
    with inspecting(tap.model), torch.inference_mode(False):
        done = 0
        for batch, classes, shows_too in _batches(tap, images, targets, excluded, batch_size):
            report = _Progress(progress, done, len(batch), len(images), len(methods))
            contrast = functools.partial(
                ContrastWeights.build,
                targets=classes,
                contrast_sets=contrast_sets,
                contrast_k=contrast_k,
                excluded=shows_too,
            )
            options = Options(
                rows=batch_size,
                speed=Speed(amp, compile),
                progress=report.step,
                with_head=not _OF_THE_HEAD.isdisjoint(methods),
            )
            trace = record(tap, batch, classes, contrast, options)

            def keep(name: str, maps: Tensor) -> None:
                maps = resize_maps(maps, images.shape[-2:]) if size == "input" else maps
                parts[name].append((_min_max(maps) if min_max and name in METHODS else maps).to(images.device))

            for name, maps in (more(trace) if more else {}).items():  # before methods that run the model again
                keep(name, maps)
            for method in methods:
                if method == centred and method in _WITH_EVIDENCE:
                    plain, *evidence = _WITH_EVIDENCE[method](trace)
                    for name, maps in zip((CENTRED, OWN_PAIR), evidence, strict=False):
                        keep(name, maps)
                else:
                    plain = METHODS[method](trace)
                keep(method, plain)
                report.finished()
            done += len(batch)
    return {method: torch.cat(maps) if len(maps) > 1 else maps[0] for method, maps in parts.items()}


def resize_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, T, h, w) -> (B, T, H, W), bilinear with half-pixel centres."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


class _Progress:
    """Turns methods finished, and passes of a method under way, into a number of images."""

    def __init__(
        self, report: Callable[[float, int], None] | None, before: int, batch: int, total: int, methods: int
    ) -> None:
        self._report, self._before, self._batch, self._total = report, before, batch, total
        self._methods, self._finished, self._images = methods, 0, 0.0

    def step(self, images: float) -> None:
        self._images += images
        self._tell()

    def finished(self) -> None:
        self._finished, self._images = self._finished + 1, 0.0
        self._tell()

    def _tell(self) -> None:
        if self._report is not None:
            work = (self._finished * self._batch + min(self._images, self._batch)) / self._methods
            self._report(self._before + work, self._total)


def _batches(
    tap: Tap, images: Tensor, targets: Tensor, excluded: Tensor | None, batch_size: int | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """All three on the model's device; gradients end at the layer, whatever the caller wants with images."""
    device = next((parameter.device for parameter in tap.model.parameters()), images.device)
    size = batch_size or len(images)
    if batch_size is None and size > SMALL_BATCH:
        size = batch_size_for(tap.model, images[:1].detach().to(device))
    parts = torch.split(images, size)
    not_contrasted = [None] * len(parts) if excluded is None else [p.to(device) for p in torch.split(excluded, size)]
    for batch, classes, shows_too in zip(parts, torch.split(targets, size), not_contrasted, strict=True):
        on_device = batch.detach().to(device)
        # An inference tensor cannot be saved for the backward pass, and a model may change its input in place.
        yield on_device.clone(), classes.to(device, torch.int64), shows_too


def _min_max(maps: Tensor) -> Tensor:
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / torch.where(high > low, high - low, torch.ones_like(high))
