"""Explained images for people to look at (paper, Figs. 1 and 3)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.protocol import TOP_FRACTION
from case_monitor.domain.top_pixels import is_degenerate, top_pixels
from case_monitor.evidence.overlays import HEAT, Image, Mask, heated, masked
from case_monitor.evidence.pictures import style

CRISP_SIDE = 96  # images up to this size are shown pixel by pixel
_CLASSES = "1st: the predicted class, 2nd: the runner-up"

Draw = Callable[[Axes, Image, FloatArray], None]

# Inches.
_CELL, _GAP, _GROUP_GAP, _NAMES, _MARGIN, _HEADS, _FOOT = 0.98, 0.05, 0.16, 1.75, 0.12, 0.5, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What is shown: the subject in words, the names of the classes, and the method that the gate judges."""

    subject: str
    class_names: tuple[str, ...]
    gate_method: str

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Caption":
        return cls(
            subject=style.subject(evaluation),
            class_names=evaluation.split.class_names,
            gate_method=evaluation.policy.gate_method,
        )


def gallery(evaluation: Evaluation, gallery: Gallery) -> Figure:
    """Each row an image, and for every method only its top 5% pixels, for the first and the second class.

    Only images that were chosen by their class: the worst ones would look as if all were like them.
    """
    detail = f"{_CLASSES} · in colour: the top {style.percent(TOP_FRACTION)} of the strictly positive pixels"
    if not len(gallery.sample_ids) or not gallery.maps:
        return style.notice(evaluation, "No gallery", "No image was explained.")
    return _rows(Caption.of(evaluation), gallery.by_class, "What each method marks as evidence", detail, _draw_masked)


def saliency_maps(evaluation: Evaluation, gallery: Gallery) -> Figure:
    """The rows of `gallery` with the whole heat maps laid over the images."""
    if not len(gallery.sample_ids) or not gallery.maps:
        return style.notice(evaluation, "No gallery", "No image was explained.")
    return heat_maps(Caption.of(evaluation), gallery.by_class)


def heat_maps(caption: Caption, gallery: Gallery) -> Figure:
    """Heat maps laid over images, for the first and the second class."""
    detail = f"{_CLASSES} · each map on its own scale, from 0 to its highest value"
    fig = _rows(caption, gallery, "Where each method sees evidence", detail, _draw_heat, _FOOT)
    _scale(fig)
    return style.literal(fig)


def _rows(caption: Caption, gallery: Gallery, what: str, detail: str, draw: Draw, foot: float = 0.1) -> Figure:
    methods = tuple(gallery.maps)
    rows = len(gallery.sample_ids)
    height, width = gallery.images.shape[1:3]
    cell_height = _CELL * min(max(height / width, 0.5), 2.0)
    total_width = _MARGIN * 2 + _NAMES + _CELL + len(methods) * (2 * _CELL + _GAP + _GROUP_GAP)
    # A narrow figure would break its header into many lines.
    total_width = max(total_width, 7.5)
    total_height = 0.75 + _HEADS + rows * (cell_height + _GAP) + foot
    fig = style.new_figure(total_width, total_height, constrained=False)
    top = style.header(
        fig, f"{what}, for the first and the second class", f"{caption.subject} · {_images(rows)} · {detail}"
    )
    place = _Grid(fig, top * total_height - _HEADS, cell_height)
    _heads(fig, place, methods, caption.gate_method)
    labels = style.class_labels(caption.class_names, 20)
    for row in range(rows):
        _row(place, gallery, methods, row, draw)
        _names(fig, place, row, gallery, labels)
    return style.literal(fig)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


class _Grid:
    """Where panels go, in inches from the left and from the top row's upper edge."""

    def __init__(self, fig: Figure, top: float, cell_height: float) -> None:
        self.fig, self.top, self.cell_height = fig, top, cell_height
        self.width, self.height = fig.get_size_inches()

    def left(self, method: int, rank: int) -> float:
        """Left edge of a method's panel; method -1 is the original image."""
        start = _MARGIN + _NAMES
        if method < 0:
            return start
        return start + _CELL + _GROUP_GAP + method * (2 * _CELL + _GAP + _GROUP_GAP) + rank * (_CELL + _GAP)

    def upper(self, row: int) -> float:
        """Upper edge of a row, in inches from the bottom."""
        return self.top - row * (self.cell_height + _GAP)

    def axes(self, row: int, method: int, rank: int = 0) -> Axes:
        """A panel without ticks."""
        bottom = (self.upper(row) - self.cell_height) / self.height
        left = self.left(method, rank) / self.width
        ax = self.fig.add_axes((left, bottom, _CELL / self.width, self.cell_height / self.height))
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_color("#BBBBBB")
        ax.spines[:].set_linewidth(0.5)
        return ax


def _heads(fig: Figure, place: _Grid, methods: tuple[str, ...], gate: str) -> None:
    def write(x: float, above: float, text: str, size: float, weight: str = "normal") -> None:
        where = (x / place.width, (place.top + above) / place.height)
        fig.text(*where, text, ha="center", va="bottom", fontsize=size, weight=weight, color=style.INK)

    write(place.left(-1, 0) + _CELL / 2, 0.05, "image", 8)
    for i, method in enumerate(methods):
        centre = place.left(i, 1) - _GAP / 2
        title = style.method_title(method) + (" (gate)" if method == gate else "")
        weight = "bold" if method == gate else "normal"
        write(centre, 0.23, title, 10, weight)
        for rank, name in enumerate(("1st class", "2nd class")):
            write(place.left(i, rank) + _CELL / 2, 0.05, name, 7)


def _row(place: _Grid, gallery: Gallery, methods: tuple[str, ...], row: int, draw: Draw) -> None:
    image = gallery.images[row]
    show(place.axes(row, -1), image)
    for i, method in enumerate(methods):
        for rank in (0, 1):
            ax = place.axes(row, i, rank)
            saliency_map = gallery.maps[method][row, rank].astype(np.float64)
            if is_degenerate(saliency_map):
                ax.set_facecolor("#F4F4F4")
                style.note(ax, "no map")
            else:
                draw(ax, image, saliency_map)


def _names(fig: Figure, place: _Grid, row: int, gallery: Gallery, labels: tuple[str, ...]) -> None:
    y = place.upper(row) - place.cell_height / 2
    names = f"1st: {labels[gallery.target[row]]}\n2nd: {labels[gallery.top2[row]]}"
    sample = style.shorten(gallery.sample_ids[row], 26)
    x = _MARGIN / place.width
    fig.text(x, y / place.height, names, fontsize=8, color=style.INK, va="bottom")
    fig.text(x, (y - 0.06) / place.height, sample, fontsize=6.5, color=style.MUTED, va="top")


def show(ax: Axes, image: Image) -> None:
    """A picture that fills its panel; small ones pixel by pixel."""
    crisp = max(image.shape[:2]) <= CRISP_SIDE
    ax.imshow(image, interpolation="nearest" if crisp else "antialiased", aspect="auto")


def _draw_masked(ax: Axes, image: Image, saliency_map: FloatArray) -> None:
    mask = top_pixels(saliency_map)
    show(ax, masked(image, mask))
    _outline(ax, mask)


def _outline(ax: Axes, mask: Mask) -> None:
    """A line around the mask along the pixels' edges, so that pale pixels inside are seen too."""
    if not mask.any():
        return
    scale = 8 if max(mask.shape) <= CRISP_SIDE else 1
    fine = np.pad(np.kron(mask, np.ones((scale, scale))), 1)
    y, x = ((np.arange(n) - 1 + 0.5) / scale - 0.5 for n in fine.shape)
    ax.contour(x, y, fine, levels=[0.5], colors=[style.RED], linewidths=0.6)
    ax.set_xlim(-0.5, mask.shape[1] - 0.5)
    ax.set_ylim(mask.shape[0] - 0.5, -0.5)


def _draw_heat(ax: Axes, image: Image, saliency_map: FloatArray) -> None:
    show(ax, heated(image, saliency_map))


def _scale(fig: Figure) -> None:
    width, height = fig.get_size_inches()
    ax = fig.add_axes(((_MARGIN + _NAMES) / width, 0.25 / height, 2.4 / width, 0.09 / height))
    bar = fig.colorbar(ScalarMappable(Normalize(0, 1), HEAT), cax=ax, orientation="horizontal")
    bar.set_ticks([0, 1], labels=["no evidence", "most evidence"], parse_math=False)
    bar.ax.tick_params(labelsize=7, length=0, colors=style.MUTED)
