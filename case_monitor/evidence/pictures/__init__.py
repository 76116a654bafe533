"""Figures of an evaluation: matplotlib, object by object, without pyplot's global state."""

from pathlib import Path

from matplotlib.figure import Figure

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.evidence.pictures.agreement import agreement_histograms
from case_monitor.evidence.pictures.channels import channel_activity
from case_monitor.evidence.pictures.confusion import confusion_matrix
from case_monitor.evidence.pictures.contrast_bars import contrast
from case_monitor.evidence.pictures.drop_bars import fidelity
from case_monitor.evidence.pictures.image_rows import Caption, gallery, heat_maps, saliency_maps
from case_monitor.evidence.pictures.model_inputs import model_inputs
from case_monitor.evidence.pictures.style import method_title

__all__ = [
    "Caption",
    "agreement_histograms",
    "channel_activity",
    "confusion_matrix",
    "contrast",
    "fidelity",
    "gallery",
    "heat_maps",
    "method_title",
    "model_inputs",
    "saliency_maps",
    "save_figures",
]

DPI = 150


def save_figures(evaluation: Evaluation, gallery: Gallery, directory: Path) -> list[Path]:
    """Draw every figure of `evaluation` and write it as PNG into `directory`, which is made if need be.

    Returns:
        The files written, always the same eight: what could not be measured is a figure that says so.
    """
    directory.mkdir(parents=True, exist_ok=True)
    return [_save(fig, directory / f"{name}.png") for name, fig in _figures(evaluation, gallery)]


def _figures(evaluation: Evaluation, images: Gallery) -> list[tuple[str, Figure]]:
    return [
        ("confusion_matrix", confusion_matrix(evaluation)),
        ("contrast", contrast(evaluation)),
        ("agreement_histograms", agreement_histograms(evaluation)),
        ("fidelity", fidelity(evaluation)),
        ("gallery", gallery(evaluation, images)),
        ("saliency_maps", saliency_maps(evaluation, images)),
        ("channel_activity", channel_activity(evaluation)),
        ("model_inputs", model_inputs(evaluation, images)),
    ]


def _save(fig: Figure, path: Path) -> Path:
    fig.savefig(path, dpi=DPI, facecolor="white")
    return path
