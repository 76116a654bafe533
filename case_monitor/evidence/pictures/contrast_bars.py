"""Whether maps know which class they explain, image by image: the margins of contrastive deletion, in order."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.scores import PAIR_MARGIN, SHOWN_MARGIN
from case_monitor.domain.summary import MetricSummary
from case_monitor.evidence.pictures import style

RIGHT, WRONG = "#2E7D32", style.RED
_FIGURES = (("pair_contrast", PAIR_MARGIN), ("shown_contrast", SHOWN_MARGIN))


def contrast(evaluation: Evaluation) -> Figure:
    """A panel for the map of one class against the other, and one for the maps that people are shown."""
    scores = evaluation.scores
    found = [(metric, *key) for metric, of in _FIGURES for key in scores.values if key[1] == of]
    rows = [(evaluation.summary(metric, method), scores.values[method, of]) for metric, method, of in found]
    drawn = [(row, c[np.isfinite(c)]) for row, c in rows if row is not None and np.isfinite(c).any()]
    if not drawn:
        return style.notice(evaluation, "No contrast to show", "No image has pixels that speak for either class.")
    fig = style.new_figure(max(4.5 * len(drawn), 7), 3.9)
    style.header(fig, _finding(drawn[0][0], evaluation.policy.confidence_level), _detail(evaluation))
    for ax, (row, c) in zip(np.ravel(fig.subplots(1, len(drawn), squeeze=False)), drawn, strict=True):
        _panel(ax, row, c)
    return style.literal(fig)


def _finding(row: MetricSummary, level: float) -> str:
    interval = style.interval(row.ci_low, row.ci_high, level)
    return f"The maps know their class in {style.percent(row.value)} of the images ({interval}; chance: 50%)"


def _detail(evaluation: Evaluation) -> str:
    what = (
        "margin between the two classes with the runner-up's pixels hidden, less that with the predicted class's hidden"
    )
    return f"{style.subject(evaluation)} · for each image: {what}; above 0 the map is right"


def _panel(ax: Axes, row: MetricSummary, c: FloatArray) -> None:
    """Bars of c from the highest to the lowest: above 0 the map is right about the image."""
    title = f"{style.method_title(row.method)}, centred" if row.method else "one class against the other"
    ax.set_title(f"{title}: {style.percent(row.value)}", fontsize=10, loc="left", color=style.INK)
    style.tidy(ax)
    ordered = np.sort(c)[::-1]
    x = np.arange(len(c))
    for colour, part in ((RIGHT, ordered > 0), (WRONG, ordered < 0)):
        ax.fill_between(x, np.where(part, ordered, 0.0), step="mid", color=colour, linewidth=0)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.axvline((len(c) - 1) / 2, color=style.MUTED, linestyle=":", linewidth=1.1, gid="chance")
    ax.set_xlim(-0.5, max(len(c) - 0.5, 0.5))
    ax.set_xlabel(f"{len(c)} images, in order; dotted: where half of them would be right", fontsize=8)
    ax.set_ylabel("logits", fontsize=8)
    limit = _reach(ordered)
    ax.set_ylim(-limit, limit)
    left_out = f"\n{row.n_undefined} without" if row.n_undefined else ""
    corner = {"transform": ax.transAxes, "ha": "right", "va": "top"}
    ax.text(
        0.98,
        0.96,
        f"right {int((c > 0).sum())}, wrong {int((c < 0).sum())}{left_out}",
        corner,
        fontsize=8,
        color=style.INK,
    )


def _reach(c: FloatArray) -> float:
    """Of the axis: a few extreme images would flatten all others."""
    reach = float(np.quantile(np.abs(c), 0.98))
    return 1.1 * reach if math.isfinite(reach) and reach > 0 else 1.0
