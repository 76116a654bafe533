"""torchcam, used as its documentation says, with its defaults; it returns maps at the layer's resolution."""

import contextlib

import torch
from torch import Tensor
from torchcam import methods as torchcam
from torchcam.methods.core import _CAM

from benchmarks.models import Subject
from benchmarks.peers import plain_forward
from benchmarks.timing import seconds

_TC_GRADIENT = (torchcam.GradCAM, torchcam.GradCAMpp, torchcam.LayerCAM)


def tc_gradient(subject: Subject) -> None:
    """torchcam's three: one forward pass per method, whose graph is kept for the second class."""
    for method in _TC_GRADIENT:
        with method(subject.model, subject.architecture.layer) as extractor:
            scores = subject.model(subject.images)
            _tc_both(extractor, scores, subject.targets, keep_for_others=False)


def tc_gradient_shared(subject: Subject) -> None:
    """torchcam's three on one forward pass, which its interface allows and its documentation does not show."""
    with contextlib.ExitStack() as stack:
        extractors = [stack.enter_context(m(subject.model, subject.architecture.layer)) for m in _TC_GRADIENT]
        scores = subject.model(subject.images)
        for extractor in extractors:
            _tc_both(extractor, scores, subject.targets, keep_for_others=True)


def tc_scorecam(subject: Subject, part: int) -> float:
    """Seconds for both maps of an image by torchcam's Score-CAM, from those for `part` channels of one map."""
    image, layer = subject.images[:1], subject.architecture.layer
    with torchcam.ScoreCAM(subject.model, layer) as extractor, torch.inference_mode():
        own_forward = seconds(lambda: subject.model(image))
        extractor.hook_a = [a[:, :part] for a in extractor.hook_a]
        weights = seconds(lambda: extractor(class_idx=int(subject.targets[0, 0])))
        once = seconds(plain_forward(subject.model, image))  # the baseline, once per map
    return own_forward + 2 * (once + (weights - once) * subject.channels / part)


def _tc_both(extractor: _CAM, scores: Tensor, targets: Tensor, *, keep_for_others: bool) -> None:
    first, second = targets.T.tolist()
    extractor(class_idx=first, scores=scores, retain_graph=True)
    extractor(class_idx=second, scores=scores, retain_graph=keep_for_others)
