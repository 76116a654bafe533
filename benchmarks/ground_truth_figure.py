"""Planted images with outlines of what is known, and what each method marks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from benchmarks.ground_truth_networks import METHODS
from benchmarks.ground_truth_scores import upsampled
from benchmarks.ground_truth_tables import Found
from benchmarks.planted import CLASS_NAMES, SIDE, Planted, PlantedImages
from case_monitor.evidence.pictures import style
from case_monitor.evidence.pictures.image_rows import heated
from case_monitor.measuring.top_pixels import is_degenerate

ROWS = 2  # images of each architecture
_OUTLINES: dict[str, tuple[str, Any]] = {"unique": ("#0072B2", "solid"), "shared": ("#D55E00", (0, (2, 1.2)))}
_CELL, _GAP, _NAMES, _HEADS, _FOOT = 1.12, 0.06, 1.35, 0.3, 0.38


def picture(everything: Sequence[Found], data: Planted) -> Figure:
    """A row per image and architecture: the image, then the map of every method for its class, by the first seed."""
    shown = _first_of_each(everything, data)
    rows = [(found, i) for found in everything for i in shown]
    width = _NAMES + (len(METHODS) + 1) * (_CELL + _GAP) + 0.1
    height = 0.75 + _HEADS + len(rows) * (_CELL + _GAP) + _FOOT
    fig = style.new_figure(width, height, constrained=False)
    detail = "each map is for the image's own class, on its own scale; the first images that both networks get right"
    top = style.header(fig, "Where the evidence was planted, and where each method sees it", detail) * height - _HEADS

    def axes(row: int, column: int) -> Axes:
        left, bottom = _NAMES + column * (_CELL + _GAP), top - (row + 1) * (_CELL + _GAP) + _GAP
        ax = fig.add_axes((left / width, bottom / height, _CELL / width, _CELL / height))
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("#BBBBBB")
        return ax

    for column, title in enumerate(["image", *(style.method_title(m).replace(" (", "\n(") for m in METHODS)]):
        x = (_NAMES + column * (_CELL + _GAP) + _CELL / 2) / width
        fig.text(x, (top + 0.05) / height, title, ha="center", va="bottom", fontsize=9, color=style.INK)
    for row, (found, i) in enumerate(rows):
        name = f"{found.subjects[0].network}\nclass {CLASS_NAMES[int(data.target[i])]}"
        y = (top - row * (_CELL + _GAP) - _CELL / 2) / height
        fig.text(0.12 / width, y, name, va="center", fontsize=9, color=style.INK)
        _row([axes(row, column) for column in range(len(METHODS) + 1)], found, data, i)
    _legend(fig)
    return style.literal(fig)


def _first_of_each(everything: Sequence[Found], data: Planted) -> list[int]:
    """The first images, each of another class, that the first seed of every architecture classifies correctly."""
    correct = np.all([found.subjects[0].correct.numpy() for found in everything], axis=0)
    chosen: dict[int, int] = {}
    for i in np.flatnonzero(correct).tolist():
        chosen.setdefault(int(data.target[i]), i)
    return list(chosen.values())[:ROWS]


def _row(panels: Sequence[Axes], found: Found, data: Planted, i: int) -> None:
    image = PlantedImages(data).to_display(data.images[i : i + 1])[0]
    panels[0].imshow(image, interpolation="nearest")
    for ax, method in zip(panels[1:], METHODS, strict=True):
        saliency = upsampled(found.trained[0][method][i : i + 1], SIDE)
        if is_degenerate(saliency).item():
            style.note(ax, "no map")
        else:
            ax.imshow(heated(image, saliency[0].double().numpy()), interpolation="nearest")
    for ax in panels:
        _outline(ax, data.unique[i], *_OUTLINES["unique"])
        _outline(ax, data.shared[i], *_OUTLINES["shared"])


def _outline(ax: Axes, mask: Tensor, colour: str, line: Any) -> None:
    # White below the colour, to be seen on any map.
    for ink, width, dashes in (("white", 3.0, "solid"), (colour, 1.6, line)):
        ax.contour(mask.float().numpy(), levels=[0.5], colors=[ink], linewidths=width, linestyles=[dashes])


def _legend(fig: Figure) -> None:
    words = {"unique": "the glyph that no other class has", "shared": "the two glyphs that the class's group shares"}
    handles = [
        Line2D([], [], color=colour, linestyle=line, linewidth=1.6, label=words[part])
        for part, (colour, line) in _OUTLINES.items()
    ]
    fig.legend(handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=9)
