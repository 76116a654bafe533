"""How many channels of the target layer are active, per class (paper, Fig. 6)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.evidence.pictures import style
from case_monitor.judging.distributions import density


def channel_activity(evaluation: Evaluation) -> Figure:
    """Kernel density over classes of the mean number of active channels, with a mark per class."""
    values = np.array([m.active_channels for m in evaluation.class_metrics], dtype=float)
    defined = values[np.isfinite(values)]
    if not defined.size:
        reason = "No class has a correctly classified image."
        return style.notice(evaluation, "No channel activity was measured", reason)
    fig = style.new_figure(8, 4)
    style.header(fig, _finding(defined), _detail(evaluation, len(values) - len(defined)))
    ax = fig.add_subplot()
    style.tidy(ax)
    _draw(ax, defined)
    _rug(ax, defined)
    ax.set_xlabel("mean number of active channels of a class; each stroke is one class", fontsize=9)
    ax.set_ylabel("density over classes", fontsize=9)
    return style.literal(fig)


def _draw(ax: Axes, values: FloatArray) -> None:
    curve = density(values)
    middle = float(np.median(values))
    ax.axvline(middle, color=style.INK, linestyle=":", linewidth=1.1)
    if curve is None:
        ax.set_xlim(max(0.0, middle - 5), middle + 5)
        ax.set_yticks([])
        style.note(ax, "one class only" if len(values) == 1 else "the same number for every class")
        return
    x, y = curve
    ax.plot(x, y, color=style.method_colour("case"), linewidth=1.8)
    ax.fill_between(x, y, color=style.method_colour("case"), alpha=0.18, linewidth=0)
    ax.set_ylim(0, float(y.max()) * 1.12)
    ax.annotate(f" median {middle:.1f}", (middle, float(y.max()) * 1.06), fontsize=8, color=style.INK)


def _rug(ax: Axes, values: FloatArray) -> None:
    alpha = 0.7 if len(values) <= 100 else 0.2
    strokes = ax.vlines(values, 0, 0.035, transform=ax.get_xaxis_transform(), color=style.INK, alpha=alpha, lw=1)
    strokes.set_gid("rug")


def _finding(values: FloatArray) -> str:
    low, middle, high = (float(v) for v in np.quantile(values, [0, 0.5, 1]))
    if high - low < 0.05:
        return f"{middle:.1f} channels are active for every class"
    return f"Half of the classes activate fewer than {middle:.1f} channels (range {low:.1f} to {high:.1f})"


def _detail(evaluation: Evaluation, undefined: int) -> str:
    tau = f"active: above {evaluation.provenance.protocol.activity_threshold:g} after pooling"
    parts = [style.subject(evaluation), f"layer {style.shorten(evaluation.provenance.target_layer, 50)}", tau]
    if undefined:
        parts.append(f"left out for want of a correct image: {undefined} of {len(evaluation.class_metrics)} classes")
    return " · ".join(parts)
