"""The confusion matrix, drawn so that the confusions are seen and not only the diagonal."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.evidence.pictures import style

MAX_LABELLED = 25  # classes that all get a tick, and a count in every cell
MAX_CELLS = 200  # above this many classes, neighbours share a cell: one class would be less than two pixels
TOP_CONFUSIONS = 16
WRONG, RIGHT = "Oranges", "Blues"

# Inches.
_LEFT, _BOTTOM, _GUTTER, _LIST, _ENTRY, _BAR = 1.95, 1.6, 0.45, 3.9, 0.42, 0.62


def confusion_matrix(evaluation: Evaluation) -> Figure:
    """The matrix beside a list of the most frequent confusions.

    Blue: share of a class's images that are right. Orange: share that goes to another, on its own scale.
    """
    counts = evaluation.confmat.counts
    if not counts.sum():
        return style.notice(evaluation, "No confusion matrix", "The split has no predicted image.")
    num_classes = len(counts)
    side = 7.5 if num_classes > MAX_LABELLED else max(3.6, 0.48 * num_classes)
    fig = style.new_figure(_LEFT + side + _GUTTER + _LIST, side + _BOTTOM + 1.15, constrained=False)
    style.header(fig, _finding(evaluation), _detail(evaluation))
    labels = style.class_labels(evaluation.split.class_names, 18)
    ax = _panel(fig, _LEFT, _BOTTOM, side, side)
    images = _draw_matrix(ax, counts)
    _ticks(ax, labels, num_classes)
    left = _LEFT + side + _GUTTER
    for i, (name, image) in enumerate(images.items()):
        _colour_bar(fig, _panel(fig, left, 0.4 + i * _BAR, _LIST - 0.3, 0.1), image, name)
    bottom = 0.4 + len(images) * _BAR
    height = _BOTTOM + side - bottom
    _draw_confusions(_panel(fig, left, bottom, _LIST, height), counts, labels, height)
    return style.literal(fig)


def _panel(fig: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    across, up = fig.get_size_inches()
    return fig.add_axes((left / across, bottom / up, width / across, height / up))


def row_shares(counts: IntArray) -> FloatArray:
    """(C, C) counts -> each row as shares of its sum; a row without images is NaN."""
    totals = counts.sum(axis=1, keepdims=True).astype(float)
    shares: FloatArray = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    return shares


def confusions(counts: IntArray, top: int = TOP_CONFUSIONS) -> list[tuple[int, int, int]]:
    """The `top` most frequent (true, predicted, count) with true != predicted, most frequent first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:top]
    pairs = [(int(i) // len(counts), int(i) % len(counts)) for i in order]
    return [(u, v, int(wrong[u, v])) for u, v in pairs if wrong[u, v]]


def pool(shares: FloatArray, block: int) -> FloatArray:
    """Mean share over `block` x `block` classes times `block`: how much of a group goes to another group.

    NaN rows (no image) are left out of the mean; a group of none but such rows stays NaN.
    """
    size = -(-len(shares) // block)
    padded = np.full((size * block, size * block), np.nan)
    padded[: len(shares), : len(shares)] = shares
    cells = padded.reshape(size, block, size, block).transpose(0, 2, 1, 3)  # (S, S, block, block)
    rows = np.nansum(cells, axis=3)
    present = np.isfinite(cells).any(axis=3)
    total, n = np.where(present, rows, 0).sum(axis=2), present.sum(axis=2)
    pooled: FloatArray = np.divide(total, n, out=np.full((size, size), np.nan), where=n > 0)
    return pooled


def _finding(evaluation: Evaluation) -> str:
    counts = evaluation.confmat.counts
    accuracy = style.percent(np.trace(counts) / counts.sum())
    right = f"{accuracy} of {counts.sum()} images are classified correctly"
    top = confusions(counts, 1)
    if not top:
        return f"{right}; no class is confused with another"
    u, v, n = top[0]
    labels = style.class_labels(evaluation.split.class_names)
    return f"{right}; most often “{labels[u]}” is taken for “{labels[v]}” ({n} of {counts[u].sum()})"


def _detail(evaluation: Evaluation) -> str:
    num_classes = len(evaluation.confmat.counts)
    parts = [style.subject(evaluation), "rows: true class, columns: predicted class"]
    block = _block(num_classes)
    if block > 1:
        parts.append(f"each cell: {block} x {block} neighbouring classes, correct predictions left out")
    empty = int((evaluation.confmat.counts.sum(axis=1) == 0).sum())
    if empty:
        parts.append(f"grey: no image of the class ({empty} of {num_classes})")
    return " · ".join(parts)


def _block(num_classes: int) -> int:
    return -(-num_classes // MAX_CELLS)


def _draw_matrix(ax: Axes, counts: IntArray) -> dict[str, AxesImage]:
    """Draw the cells; returns what needs a colour bar, by its label."""
    num_classes = len(counts)
    shares = row_shares(counts)
    diagonal = np.eye(num_classes, dtype=bool)
    block = _block(num_classes)
    ax.set_facecolor("#D9D9D9")
    ax.set_xlabel("predicted class", fontsize=9)
    ax.set_ylabel("true class", fontsize=9)
    if block > 1:
        wrong = np.where(diagonal & np.isfinite(shares), 0.0, shares)
        return {"confused, share of the group of classes": _cells(ax, pool(wrong, block), WRONG)}
    blue = _cells(ax, np.where(diagonal, shares, np.nan), RIGHT, Normalize(0, 1))
    orange = _cells(ax, np.where(diagonal, np.nan, shares), WRONG)
    if num_classes <= MAX_LABELLED:
        _write_counts(ax, counts, shares, blue, orange)
        edges = np.arange(num_classes + 1) - 0.5
        ax.hlines(edges, -0.5, num_classes - 0.5, color="#E3E3E3", linewidth=0.6)
        ax.vlines(edges, -0.5, num_classes - 0.5, color="#E3E3E3", linewidth=0.6)
    return {"confused, share of the true class": orange, "correct, share of the true class": blue}


def _cells(ax: Axes, values: FloatArray, colours: str, norm: Normalize | None = None) -> AxesImage:
    """Cells in a sequential colour map; without a norm on a log scale, where zero is white and NaN clear."""
    if norm is None:
        positive = values[np.isfinite(values) & (values > 0)]
        high = float(positive.max()) if positive.size else 1.0
        low = min(float(positive.min()) if positive.size else 0.1, high / 3)
        # The faintest confusion still differs from white: the colours start below the smallest value.
        norm = LogNorm(low / 2, high)
    extent = (-0.5, values.shape[1] - 0.5, values.shape[0] - 0.5, -0.5)
    cmap = colormaps[colours].with_extremes(under="white", bad=(1, 1, 1, 0))
    # A logarithmic scale would hide zeros like missing values: put them just below it.
    shown = np.where(values <= 0, norm.vmin / 2, values) if isinstance(norm, LogNorm) and norm.vmin else values
    cells = np.ma.masked_invalid(shown)
    return ax.imshow(cells, cmap=cmap, norm=norm, interpolation="nearest", extent=extent)


def _colour_bar(fig: Figure, ax: Axes, image: AxesImage, label: str) -> None:
    bar = fig.colorbar(image, cax=ax, orientation="horizontal")
    low, high = image.get_clim()
    low, high = low or 0.0, high or 1.0
    marks = np.geomspace(low, high, 4)[1:] if isinstance(image.norm, LogNorm) else np.linspace(low, high, 5)
    bar.set_ticks(list(marks), labels=[style.percent(m) for m in marks], parse_math=False)
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=7, colors=style.MUTED, length=2)
    bar.ax.set_title(label, fontsize=8, loc="left", pad=3, color=style.INK)


def _write_counts(ax: Axes, counts: IntArray, shares: FloatArray, blue: AxesImage, orange: AxesImage) -> None:
    size = 9 if len(counts) <= 12 else 7
    for u, v in np.ndindex(counts.shape):
        if counts[u, v] or (u == v and np.isfinite(shares[u, v])):
            red, green, azure, _ = (blue if u == v else orange).to_rgba(shares[u, v])
            dark = 0.299 * red + 0.587 * green + 0.114 * azure < 0.55
            colour = "white" if dark else style.INK
            ax.text(v, u, str(counts[u, v]), ha="center", va="center", fontsize=size, color=colour)


def _ticks(ax: Axes, labels: tuple[str, ...], num_classes: int) -> None:
    step = -(-num_classes // MAX_LABELLED)
    chosen = list(range(0, num_classes, step))
    block = _block(num_classes)
    positions = [(idx + 0.5) / block - 0.5 for idx in chosen]
    names = [labels[idx] if idx < len(labels) else f"#{idx}" for idx in chosen]
    size = 8 if num_classes <= 12 else 7
    ax.set_yticks(positions, names, fontsize=size, parse_math=False)
    ax.set_xticks(positions, names, fontsize=size, parse_math=False, rotation=90)
    ax.tick_params(length=2 if step > 1 else 0, colors=style.INK)


def _draw_confusions(ax: Axes, counts: IntArray, labels: tuple[str, ...], height: float) -> None:
    ax.set_title("Most frequent confusions", fontsize=10, loc="left", color=style.INK)
    ax.set_axis_off()
    room = height / _ENTRY
    top = confusions(counts, min(TOP_CONFUSIONS, int(room)))
    if not top:
        style.note(ax, "none")
        return
    rows = np.arange(len(top))
    ax.barh(rows, [n for _, _, n in top], height=0.34, color="#E6550D")
    for row, (u, v, n) in enumerate(top):
        ax.text(0, row - 0.24, f"{labels[u]} → {labels[v]}", fontsize=8, va="bottom", color=style.INK)
        share = f" {n} ({style.percent(n / counts[u].sum())} of the class)"
        ax.text(n, row, share, fontsize=7, va="center", color=style.MUTED)
    ax.set_xlim(0, top[0][2] * 1.9)
    ax.set_ylim(room - 0.8, -0.8)
