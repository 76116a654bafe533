"""A control for maps that do not know which class they explain: is it them, or has the model no evidence in a place?

Maps that are made without the layer, by hiding window after window, are asked the same question about some of the same
images. Where those know their class, the evidence is in the image, and it is the layer or the method that does not
show it. It costs a pass for every window, and only versions that need it pay.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from case_monitor.domain.errors import ModelError
from case_monitor.domain.methods import has_own_pair
from case_monitor.domain.policy import CLASS_SPECIFIC
from case_monitor.domain.protocol import TOP_FRACTION, Protocol
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.contrast import contrast_summaries
from case_monitor.judging.found import Found
from case_monitor.judging.further import CONTROL_METHOD

CONTROL_IMAGES = 50
"""Evenly over those that are explained: the share is known within 10 points where it is high."""
_LOG = logging.getLogger(__name__)


def occlusion_control(
    found: Found, summaries: Sequence[MetricSummary], protocol: Protocol, confidence_level: float, stage: str
) -> tuple[MetricSummary, ...]:
    """The share of images on which an occlusion map of one class against the other knows which is which.

    Nothing where the maps of the layer know it or say nothing, where the shown method has a pair map of its own, and
    where the model does not stand the passes: a control decides nothing, and takes no verdict away.

    Args:
        found: the version at a layer.
        summaries: its figures.
        protocol: by which it was measured.
        confidence_level: of the interval.
        stage: what to call the work, for people.
    """
    pair = next((s for s in summaries if s.metric == "pair_contrast"), None)
    if pair is None or not pair.value <= CLASS_SPECIFIC or has_own_pair(found.scores.shown):
        return ()
    few = found.predicted.sample.spread(CONTROL_IMAGES)
    one = replace(protocol, methods=(CONTROL_METHOD,), areas=(TOP_FRACTION,))
    other = replace(one, fills=protocol.fills[:1], diagnostics=())
    measurer = found.subject.measurer.under(other)
    try:
        scores, _ = measurer.at(found.layer, known=True).explain(found.contrasts, few, CONTROL_METHOD, stage)
    except ModelError as error:
        _LOG.warning("%s is not explained by occlusion, as a control: %s", found.subject.version, error)
        return ()
    finally:
        measurer.end()
    return tuple(
        replace(s, metric="occlusion_contrast")
        for s in contrast_summaries(scores, confidence_level)
        if s.metric == "pair_contrast"
    )
