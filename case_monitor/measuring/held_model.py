"""A model that is held by this process, with hooks and other weights for as long as it works."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from case_monitor.domain.diagnostics import LOCALISATION, RANDOM_MAP
from case_monitor.domain.errors import ModelError
from case_monitor.domain.protocol import AUTO, Protocol
from case_monitor.domain.scores import PAIR_MARGIN, SHOWN_MARGIN
from case_monitor.measuring.channel_activity import ChannelActivity
from case_monitor.measuring.contrastive_deletion import contrastive_deletion, opposed_by_pair, opposed_by_shown
from case_monitor.measuring.diagnostics import Diagnosed, ShuffledWeights, Subject, diagnose
from case_monitor.measuring.fidelity import Drops, ShownMap, confidence_drops, maps_of_seeds, noise_of_seeds
from case_monitor.measuring.masked_passes import Question
from case_monitor.measuring.measured_model import (
    Answers,
    At,
    Evidence,
    Explanation,
    Progress,
    Surveyed,
    ToDraw,
    ToExplain,
)
from case_monitor.saliency import (
    CENTRED,
    OWN_PAIR,
    PAIR,
    PLACE,
    SHOWN,
    Outputs,
    batch_size_for,
    candidate_layers,
    evidence_maps,
    fast_weights,
    fastest_forward,
    find_target_layer,
    inspecting,
    require_picture,
    resize_maps,
    saliency_maps,
    taken_type,
    tap_layer,
)

_TOLERANCE = 1e-3  # relative to the largest logit: a copy runs the same operators, maybe in another order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldModel:
    """`MeasuredModel`: the module itself, measured by a protocol on a device.

    Attributes:
        groups: for each of its logits, as which class it counts; empty: each has its own.
    """

    model: nn.Module
    protocol: Protocol
    device: str
    groups: tuple[int, ...] = ()
    outputs: Outputs = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", Outputs(self.protocol.output_key, self.protocol.outputs, self.groups))

    def survey(self, first: Tensor, target_layer: str, known: bool = False) -> Surveyed:
        images = self._as_taken(first)
        layer, model = target_layer, self.model.to(self.device)
        if layer == "auto":
            layer = find_target_layer(model, images, self.outputs)
        elif not known:
            require_picture(model, layer, images, self.outputs)
        with self._prepared(images):
            batch_size = self.protocol.batch_size or batch_size_for(self.model, images)
            return Surveyed(layer=layer, batch_size=batch_size, outputs=self.outputs.kind)

    def layers(self, first: Tensor) -> tuple[str, ...]:
        return candidate_layers(self.model.to(self.device), self._as_taken(first), self.outputs)

    def predict(self, first: Tensor, batches: Iterator[Tensor], layer: str) -> Iterator[Answers]:
        with self._prepared(self._as_taken(first)):
            tap = tap_layer(self.model, layer, self.outputs)
            activity = ChannelActivity(self.protocol.activity_threshold)
            for images in batches:
                on_device = self._as_taken(images)

                def look(output: Tensor, shown: Tensor = on_device) -> Tensor:
                    activity(tap.layout(output, shown).to_grid(output))
                    return output

                with torch.no_grad():  # not around the loop: the caller's code runs in between
                    logits = tap(on_device, look).float().cpu()
                yield Answers(logits=logits.numpy(), active_channels=activity.taken())

    def explain(self, first: Tensor, batches: Iterator[ToExplain], at: At, progress: Progress) -> Iterator[Explanation]:
        with self._prepared(self._as_taken(first)):
            shuffled = self._shuffled(self._as_taken(first))
            for batch in batches:
                images, classes = self._as_taken(batch.images), batch.classes.to(self.device)
                shown = at.shown or self.protocol.methods[0]
                more = partial(evidence_maps, shown=shown)
                ways = self._quickly | {"progress": progress, "more": more, "centred": shown}
                ways["excluded"] = _moved(batch.excluded, self.device)
                maps = self._maps(images, classes, at, self.protocol.methods, ways)
                of_shown = maps.pop(CENTRED if CENTRED in maps else SHOWN)
                of_layer = maps.pop(PAIR)
                pair = maps.pop(OWN_PAIR, of_layer)
                evidence = Evidence(pair=pair, place=maps.pop(PLACE), shown=of_shown)
                drops = self._drops(batch, images, classes, maps, evidence, at, shown)
                diagnosed = self._diagnosed(batch, images, classes, maps, evidence, at, shuffled)
                yield Explanation(maps=maps, evidence=evidence, drops=drops, diagnosed=diagnosed)

    def draw(self, batches: Iterator[ToDraw], at: At, methods: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        self.model.to(self.device)
        for batch in batches:
            images, classes = self._as_taken(batch.images), batch.classes.to(self.device)
            ways = {"excluded": _moved(batch.excluded, self.device)}
            yield self._maps(images, classes, replace(at, batch_size=len(images)), methods, ways)

    def under(self, protocol: Protocol) -> Self:
        return replace(self, protocol=protocol)

    def apart(self, first: Tensor) -> Self:
        """A copy.

        Raises:
            ModelError: it cannot be copied, or its copy answers otherwise.
        """
        images = self._as_taken(first)
        try:
            twin = copy.deepcopy(self.model)
            expected, came = (self._plain(model, images) for model in (self.model, twin))
        except Exception as error:  # a model may hold anything
            raise ModelError(_no_copy(f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}")) from error
        allowed = _TOLERANCE * expected.nan_to_num(posinf=0, neginf=0).abs().max().item()
        if not torch.allclose(came, expected, rtol=0, atol=allowed, equal_nan=True):
            raise ModelError(_no_copy("the copy returns other logits"))
        return replace(self, model=twin)

    def end(self) -> None:
        """Nothing: whoever made the module still has it."""

    def _as_taken(self, images: Tensor) -> Tensor:
        """On the model's device, and of the type that it takes: a network in half precision takes no other."""
        return images.to(self.device, taken_type(self.model, images.dtype))

    @contextmanager
    def _prepared(self, first: Tensor) -> Iterator[None]:
        """The model ready for passes over many images."""
        model = self.model.to(self.device)
        with inspecting(model), fast_weights(model, self._logits(model), first):
            yield

    def _plain(self, model: nn.Module, images: Tensor) -> Tensor:
        with inspecting(model.to(self.device)), torch.no_grad():
            return self._logits(model)(images).float()

    def _logits(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        return lambda images: self.outputs.logits(model(images), len(images))

    def _maps(
        self,
        images: Tensor,
        classes: Tensor,
        at: At,
        methods: Sequence[str],
        ways: Mapping[str, Any],
        model: nn.Module | None = None,
    ) -> dict[str, Tensor]:
        """Method -> (B, K, h, w) as small as the layer, of the classes (B, K)."""
        return saliency_maps(
            self.model if model is None else model,
            images,
            classes,
            target_layer=at.layer,
            methods=methods,
            contrast_sets=at.contrast,
            contrast_k=self.protocol.contrast_k,
            size="layer",
            output_key=self.protocol.output_key,
            outputs=self.outputs.kind if at.outputs == AUTO else at.outputs,
            groups=self.groups,
            batch_size=at.batch_size,
            **ways,
        )

    @property
    def _quickly(self) -> dict[str, object]:
        """Where versions are compared, neither is asked for: short cuts of two models may differ."""
        return {"amp": torch.bfloat16 if self.protocol.amp else None, "compile": self.protocol.compile}

    def _drops(
        self,
        batch: ToExplain,
        images: Tensor,
        classes: Tensor,
        small: dict[str, Tensor],
        evidence: Evidence,
        at: At,
        shown: str,
    ) -> Drops:
        logits, rows = batch.logits.to(self.device), at.batch_size
        layer_size, size = evidence.place.shape[-2:], images.shape[-2:]
        maps = {method: resize_maps(m[:, :1], size)[:, 0] for method, m in small.items()}
        control = maps_of_seeds(batch.seeds, layer_size, size, self.protocol.seed)[:, 0].to(self.device)
        of_shown = resize_maps(evidence.shown, size)
        sides = {
            PAIR_MARGIN: opposed_by_pair(resize_maps(evidence.pair, size)[:, 0]),
            SHOWN_MARGIN: opposed_by_shown(of_shown),
        }
        fills, plain = self.protocol.fills, self._logits(self.model)
        excluded = _moved(batch.excluded, self.device)
        with (
            inspecting(self.model),
            fastest_forward(self.model, plain, images[:1], logits[:1], rows=rows) as forward,
        ):
            drops = confidence_drops(
                forward,
                images,
                classes,
                maps,
                control,
                ShownMap(method=shown, maps=of_shown[:, 0]),
                areas=self.protocol.areas,
                fills=fills,
                batch_size=rows,
                excluded=excluded,
            )
            contrasts = contrastive_deletion(forward, images, classes, sides, fill=fills[0], batch_size=rows)
        of = {PAIR_MARGIN: "", SHOWN_MARGIN: shown}
        margins = drops.margins | {(of[name], name): c for name, c in contrasts.values.items()}
        return Drops(values=drops.values, margins=margins, broken=drops.broken + contrasts.broken)

    def _shuffled(self, first: Tensor) -> ShuffledWeights | None:
        if not {"mprt", "emprt"} & set(self.protocol.diagnostics):
            return None
        return ShuffledWeights(self.model, lambda model: self._plain(model, first), self.protocol.seed)

    def _diagnosed(
        self,
        batch: ToExplain,
        images: Tensor,
        classes: Tensor,
        small: Mapping[str, Tensor],
        evidence: Evidence,
        at: At,
        shuffled: ShuffledWeights | None,
    ) -> Diagnosed:
        """What the protocol's diagnostics give, of maps (B, 2, h, w) beside random ones on the layer's grid."""
        protocol, size, logits = self.protocol, images.shape[-2:], batch.logits.to(self.device)
        if set(protocol.diagnostics) <= {LOCALISATION}:  # which asks the model nothing
            return Diagnosed.none(len(images))
        excluded = _moved(batch.excluded, self.device)
        of_target = {method: maps[:, 0] for method, maps in small.items()}
        control = noise_of_seeds(batch.seeds, evidence.place.shape[-2:], protocol.seed)[:, :1].to(self.device)
        maps = {method: resize_maps(maps[:, :1], size)[:, 0] for method, maps in small.items()}
        ways = self._quickly | {"excluded": excluded}

        def explain(images: Tensor, classes: Tensor, model: nn.Module | None = None) -> dict[str, Tensor]:
            return self._maps(images, classes, at, protocol.methods, ways, model)

        possible = logits if excluded is None else logits.masked_fill(excluded, torch.inf)
        plain = self._logits(self.model)
        with (
            inspecting(self.model),
            fastest_forward(self.model, plain, images[:1], logits[:1], rows=at.batch_size) as forward,
        ):
            subject = Subject(
                images=images,
                classes=classes,
                lowest=possible.argmin(1),
                maps=maps | {RANDOM_MAP: resize_maps(control, size)[:, 0]},
                small=of_target,
                control=control[:, 0],
                seeds=batch.seeds,
                seed=protocol.seed,
                fill=protocol.fills[0],
                question=Question(forward, classes, excluded),
                explain=explain,
                shuffled=None if shuffled is None else lambda stage: partial(explain, model=shuffled.at(stage)),
            )
            return diagnose(protocol.diagnostics, subject)


def _moved(tensor: Tensor | None, device: str) -> Tensor | None:
    return None if tensor is None else tensor.to(device)


def _no_copy(reason: str) -> str:
    return (
        f"engine: a model that can be copied was expected, one copy for each thread; {reason}; "
        "use one worker, or kind ray, which has processes"
    )
