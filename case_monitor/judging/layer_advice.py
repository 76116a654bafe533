"""Which layer to explain: the same images, explained at several layers, and asked whether the maps know their class."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, defined
from case_monitor.domain.errors import CaseMonitorError, ConfigError, DataError, ModelError
from case_monitor.domain.methods import has_own_pair, method_title
from case_monitor.domain.policy import Policy, vs_baseline
from case_monitor.domain.protocol import TOP_FRACTION, Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.contrast_sets import contrast_sets_by
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.figures.of_one_version import explanation_summaries
from case_monitor.judging.measurer import LayerMeasurer, Subject
from case_monitor.judging.predicted_split import PredictedSplit, join_predicted
from case_monitor.judging.premises import SeenOutputs
from case_monitor.judging.same_answers import same_answers

_SHOWN = ("pair_contrast", "shown_contrast", "fidelity_dz", "agreement_median", "agreement_degenerate_rate")
_FEWEST = 20
"""Explained images below which nothing is advised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFigures:
    """What was found at one layer.

    Attributes:
        layer: its name.
        figures: by metric, over all explained images.
        gain: how much more often its maps know their class than those of the layer that is taken now; None of that one.
        active_channels: mean over the explained images.
        seconds: to explain them.
        problem: why there is nothing of it; empty: there is.
    """

    layer: str
    figures: Mapping[str, MetricSummary]
    gain: MetricSummary | None = None
    active_channels: float = UNDEFINED
    seconds: float = UNDEFINED
    problem: str = ""

    def value(self, metric: str) -> float | None:
        """A figure; None where it is undefined."""
        return defined(self.figures[metric].value) if metric in self.figures else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAdvice:
    """Layers in the order in which they run; which is taken now, which is recommended, and why."""

    rows: tuple[LayerFigures, ...]
    images: int
    method: str
    taken: str
    recommended: str
    reason: str


def advise_layer(
    subject: Subject, names: Sequence[str], protocol: Protocol, policy: Policy, *, images: int
) -> LayerAdvice:
    """Explain the same images at several layers.

    A layer is recommended in place of the one that is taken now only where its maps surely know their class on more of
    the images: the whole interval of the paired difference is above 0, at the policy's confidence for all layers
    together (Bonferroni). Of several such layers, the one with the largest share, and then the most fidelity.

    Args:
        subject: the version.
        names: of layers; none: some that it has.
        protocol: how to measure; its target layer is the one that is taken now.
        policy: whose gate method is shown.
        images: how many to explain at most.

    Raises:
        ConfigError: the gate's method explains no layer.
        ModelError: the model returns probabilities that are taken for logits, or another answer each time.
        DataError: too few images are classified correctly.
    """
    shown = policy.gate_method
    if has_own_pair(shown):
        raise ConfigError(f"policy.gate_method: a method of a layer was expected, {method_title(shown)} explains none")
    one = replace(protocol, methods=(shown,), areas=(TOP_FRACTION,), fills=protocol.fills[:1], diagnostics=())
    small = replace(one, sample_size=images)
    measurer = subject.measurer.under(small)
    taken = measurer.at(protocol.target_layer)
    predicted = _predicted(subject, taken, small)
    same, _ = same_answers(taken, predicted, policy.confidence_level, "show again")
    if same.value < 1:
        msg = f"layers of {subject.version}: a function of the image was expected, {1 - same.value:.0%} of the images"
        raise ModelError(f"{msg} got another answer when they were shown again; case-monitor check says more")
    found = len(predicted.sample.indices)
    if found < _FEWEST:
        msg = f"{_FEWEST} or more correctly classified images were expected of {images} drawn ones, {found} came"
        raise DataError(f"layers of {subject.version}: {msg}; draw more with --images")
    asked = dict.fromkeys([*(names or measurer.layers()), taken.layer])
    at = {name: taken if name == taken.layer else None for name in asked}
    explained = {name: _explained(measurer.at, name, layer, predicted, small, policy) for name, layer in at.items()}
    level = 1 - (1 - policy.confidence_level) / max(len(at) - 1, 1)
    rows = tuple(_compared(explained, name, taken.layer, small, level) for name in asked)
    best = _best(rows)
    return LayerAdvice(
        rows=rows,
        images=found,
        method=shown,
        taken=taken.layer,
        recommended=best.layer if best else taken.layer,
        reason=_reason(rows, best, taken.layer, found),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Explained:
    row: LayerFigures
    measured: Measured | None = None


def _predicted(subject: Subject, layer: LayerMeasurer, protocol: Protocol) -> PredictedSplit:
    seen, num_classes = SeenOutputs(subject.split.groups), subject.split.num_classes
    with closing(layer.predict("predict")) as parts:
        ids, target, excluded = subject.sample_ids, subject.target, subject.excluded
        predicted = join_predicted(seen.of(parts), ids, target, num_classes, protocol, excluded)
    seen.require_logits(f"model {subject.version}", layer.outputs, protocol.outputs)
    return predicted


def _explained(
    at: Callable[[str], LayerMeasurer],
    name: str,
    layer: LayerMeasurer | None,
    predicted: PredictedSplit,
    protocol: Protocol,
    policy: Policy,
) -> _Explained:
    """What a layer shows; a layer that cannot be explained ends nothing."""
    sample, shown = predicted.sample, protocol.methods[0]
    sets = contrast_sets_by(protocol, predicted.confmat)
    started = time.perf_counter()
    try:
        layer = layer or at(name)
        scores, _ = layer.explain(sets, sample, shown, f"explain {name}")
        seconds = time.perf_counter() - started
        channels = _active_channels(layer, sample)
    except CaseMonitorError as error:
        return _Explained(row=LayerFigures(layer=name, figures={}, problem=str(error)))
    summaries = explanation_summaries(scores, protocol, policy)
    figures = {s.metric: s for s in summaries if s.metric in _SHOWN and s.class_idx is None and s.method != "random"}
    row = LayerFigures(layer=name, figures=figures, active_channels=channels, seconds=seconds)
    return _Explained(row=row, measured=Measured(preds=predicted.classes, contrasts=sets, scores=scores))


def _active_channels(layer: LayerMeasurer, sample: Sample) -> float:
    pairs = sample.indices[: len(sample.indices) // 2 * 2]  # two at a time
    with closing(layer.predict_pairs(pairs, "count channels")) as parts:
        return float(np.concatenate([part.active_channels for part in parts]).mean())


def _compared(
    explained: Mapping[str, _Explained], name: str, taken: str, protocol: Protocol, level: float
) -> LayerFigures:
    ours, theirs = explained[name], explained[taken].measured
    if name == taken or ours.measured is None or theirs is None:
        return ours.row
    rows = comparison_summaries(ours.measured, theirs, {}, protocol, level)
    return replace(ours.row, gain=next((s for s in rows if s.metric == vs_baseline("pair_contrast")), None))


def _best(rows: Sequence[LayerFigures]) -> LayerFigures | None:
    """The one that is surely better than what is taken now; None: there is none."""
    better = [row for row in rows if row.gain is not None and row.gain.ci_low > 0]
    return max(better, key=lambda row: (row.value("pair_contrast") or 0, row.value("fidelity_dz") or 0), default=None)


def _reason(rows: Sequence[LayerFigures], best: LayerFigures | None, taken: str, images: int) -> str:
    now = next(row for row in rows if row.layer == taken)
    share = _share(now)
    if now.value("pair_contrast") is None:
        why = now.problem or "its maps are empty, or alike wherever they are looked at"
        return f"{taken} has no figure that another layer could be compared with: {why}."
    if best is None or best.gain is None:
        others = len(rows) - 1
        what = f"None of {others} other layers is" if others > 1 else "The other layer is not"
        none = "There is no other layer" if not others else f"{what} surely better than {taken}{share}"
        return f"{none}: no difference that {images} images show."
    low, high = (100 * of for of in (best.gain.ci_low, best.gain.ci_high))
    return (
        f"At {best.layer}, maps know which class they explain{_share(best)}, {low:.0f} to {high:.0f} points more often "
        f"than at {taken}{share}, on the same {images} images."
    )


def _share(row: LayerFigures) -> str:
    value = row.value("pair_contrast")
    return "" if value is None or math.isnan(value) else f" ({value:.0%})"
