"""Confidence while pixels go or come in the order of a map: deletion and insertion, MoRF and LeRF."""

from collections.abc import Mapping

from torch import Tensor

from case_monitor.measuring.diagnostics.subject import Subject
from case_monitor.measuring.masked_passes import fill_image


def deletion(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Area below the confidence while pixels are deleted, highest first (RISE; MoRF).

    Petsiuk et al. 2018, arXiv 1806.07421; Samek et al. 2017, arXiv 1509.06321.
    """
    return {(method, "deletion_auc"): area(curve) for method, curve in subject.most_relevant_first.items()}


def insertion(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Area below the confidence while a blurred image gets its pixels back, highest first (RISE)."""
    blurred = fill_image(subject.images, "blur")
    return {
        (method, "insertion_auc"): area(subject.curve(blurred, subject.images, order))
        for method, order in subject.ranks.items()
    }


def morf_lerf(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Area while pixels are deleted lowest first (LeRF), less that of highest first (MoRF).

    Samek et al. 2017; Tomsett et al. 2020, arXiv 1912.01451.
    """
    filled = fill_image(subject.images, subject.fill)
    found = {}
    for method, order in subject.ranks.items():
        reverse = order[0].numel() - 1 - order
        least = area(subject.curve(subject.images, filled, reverse))
        found[method, "morf_lerf"] = least - area(subject.most_relevant_first[method])
    return found


def area(curve: Tensor) -> Tensor:
    """By trapezoids, of the x axis from 0 to 1: (S + 1, B) -> (B,).

    Example:
        >>> import torch
        >>> area(torch.tensor([[1.], [0.5], [0.]])).tolist()
        [0.5]
    """
    return (curve[:-1] + curve[1:]).mean(0) / 2
