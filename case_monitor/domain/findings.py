"""What an evaluation hands on."""

from dataclasses import dataclass

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import PredictedClasses


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The evaluation, the pictures to show with it, and the baseline's predictions on the same images."""

    evaluation: Evaluation
    gallery: Gallery
    baseline_preds: PredictedClasses | None
