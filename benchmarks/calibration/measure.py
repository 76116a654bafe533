"""Predict twice and explain, as the product does."""

import numpy as np
from torch import nn

from benchmarks.calibration.images import Labelled
from benchmarks.calibration.measurement import Measurement
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explain import join_explained
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.local import Bench, LocalMeasurer
from case_monitor.measuring.workers.shards import cut
from tests.support.sources import TensorSource
from tests.support.whole import confusion_matrix, explainer, predict

_BATCH, _PAIR = 50, 2


def protocol_of(shown: str) -> Protocol:
    """As by default, but only with the method that people are shown, and the one area that rules ask about."""
    return Protocol(methods=(shown,), areas=(0.05,), sample_size=10**9)


def measure(model: nn.Module, pool: Labelled, layer: str, shown: str, num_classes: int) -> Measurement:
    """Predict twice and explain, as the product does."""
    source, protocol = TensorSource(pool.images, pool.target.numpy()), protocol_of(shown)
    preds = predict(model, source, num_classes=num_classes, batch_size=_BATCH)
    again = predict(model, source, num_classes=num_classes, batch_size=_PAIR)
    conditions = Conditions(source=source, num_classes=num_classes, protocol=protocol, device="cpu")
    held = HeldModel(model=model, protocol=protocol, device="cpu")
    found = LocalMeasurer(model=held, conditions=conditions, bench=Bench()).at(layer)
    sets = contrast_sets(confusion_matrix(preds, num_classes), protocol.contrast_k)
    sample = Sample.of(np.arange(len(preds.target)), preds)
    explaining = explainer(model, found.layer, sets.weights(), source, protocol, _BATCH, shown=shown)
    n = len(sample.indices)
    parts = list(explaining.explain(sample, cut(n, n, _BATCH), lambda _: None))
    scores, _ = join_explained(parts, sample, protocol, shown)
    return Measurement(
        shown=shown,
        target=preds.target,
        logits=preds.logits,
        again=again.logits,
        top2=scores.top2,
        confidence=scores.confidence,
        broken=scores.broken_passes if scores.broken_passes is not None else np.zeros(n, dtype=np.int64),
        places=np.concatenate([part.places for part in parts]) if parts else np.empty((0, 1), dtype=np.uint8),
        values=dict(scores.values),
    )
