"""Histograms of the agreement between the maps of the first and the second class (paper, Figs. 7 to 11)."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.metrics import INSENSITIVE, METRICS
from case_monitor.evidence.pictures import style
from case_monitor.judging.distributions import histogram

NUM_BINS = 20


def agreement_histograms(evaluation: Evaluation) -> Figure:
    """One panel per method: relative frequencies in 5% bins, the 50% line, and the chance level."""
    methods = style.saliency_methods(evaluation)
    if not methods:
        return style.notice(evaluation, "No agreement to show", "The protocol names no saliency method.")
    columns = min(3, len(methods))
    rows = math.ceil(len(methods) / columns)
    fig = style.new_figure(max(3.4 * columns, 7), 2.5 * rows + 1.1)
    style.header(fig, _finding(evaluation), _detail(evaluation))
    axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    chance = _chance(evaluation)
    for ax, method in zip(axes.flat, methods, strict=False):
        _panel(ax, evaluation, method, chance)
    for ax in axes.flat[len(methods) :]:
        ax.set_visible(False)
    _label_outer(axes, len(methods), columns)
    return style.literal(fig)


def _finding(evaluation: Evaluation) -> str:
    title = style.method_title(evaluation.policy.gate_method)
    summary = evaluation.summary("agreement_median", evaluation.policy.gate_method)
    if summary is None or not math.isfinite(summary.value):
        return f"{title}: no agreement was measured, so nothing is known about class sensitivity"
    level = evaluation.policy.confidence_level
    bounds = style.interval(summary.ci_low, summary.ci_high, level)
    figures = f"median agreement {style.percent(summary.value)} ({bounds})"
    if summary.ci_high < INSENSITIVE:
        return f"{title} maps differ for the first and the second class: {figures}"
    if summary.ci_low > INSENSITIVE:
        return f"{title} maps look alike for the first and the second class: {figures}"
    return f"Undecided whether {title} maps differ for the two classes: {figures}"


def _detail(evaluation: Evaluation) -> str:
    better = METRICS["agreement_median"].direction
    what = f"overlap of the top 5% of the pixels for the first and the second class; {better}"
    return f"{style.subject(evaluation)} · {len(evaluation.scores.sample_ids)} explained images · {what}"


def _chance(evaluation: Evaluation) -> float:
    values = evaluation.scores.values.get(("random", "agreement"), np.empty(0))
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else math.nan


def _panel(ax: Axes, evaluation: Evaluation, method: str, chance: float) -> None:
    values = evaluation.scores.values.get((method, "agreement"))
    gate = method == evaluation.policy.gate_method
    title = f"{style.method_title(method)} (gate)" if gate else style.method_title(method)
    ax.set_title(title, fontsize=10, loc="left", weight="bold" if gate else "normal", color=style.INK)
    style.tidy(ax)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"], parse_math=False)
    # Outermost labels stay within their panel.
    ax.xaxis.get_major_ticks()[0].label1.set_horizontalalignment("left")
    ax.xaxis.get_major_ticks()[-1].label1.set_horizontalalignment("right")
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(lambda share, _: style.percent(share))
    if gate:
        for side in ("left", "bottom"):
            ax.spines[side].set_linewidth(2)
    ax.axvline(INSENSITIVE, color=style.RED, linestyle="--", linewidth=1.3, gid="limit")
    if math.isfinite(chance):
        ax.axvline(chance, color=style.INK, linestyle=":", linewidth=1.1, gid="chance")
    if values is None or not np.isfinite(values).any():
        style.note(ax, "not evaluated" if values is None else _nothing(len(values)))
        return
    edges = np.arange(NUM_BINS) / NUM_BINS
    colour = style.method_colour(method)
    shares = histogram(values, NUM_BINS)
    ax.bar(edges, shares, 1 / NUM_BINS, align="edge", color=colour, edgecolor="white", linewidth=0.5)
    corner = {"transform": ax.transAxes, "ha": "right", "va": "top"}
    ax.text(0.98, 0.96, _facts(values), corner, fontsize=8, color=style.INK)
    ax.margins(y=0.45)


def _nothing(n: int) -> str:
    return f"all {n} maps degenerate" if n else "no explained images"


def _facts(values: FloatArray) -> str:
    degenerate = int((~np.isfinite(values)).sum())
    median = style.percent(float(np.nanmedian(values)))
    return f"n = {len(values) - degenerate}\ndegenerate {degenerate}\nmedian {median}"


def _label_outer(axes: np.ndarray, shown: int, columns: int) -> None:
    for row in axes:
        row[0].set_ylabel("share of images", fontsize=8)
    for i, ax in enumerate(axes.flat[:shown]):
        if i + columns >= shown:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("agreement", fontsize=8)
    first = axes.flat[0]
    handles = [line for line in first.lines if line.get_gid() in ("limit", "chance")]
    names = {"limit": "50% limit", "chance": "two random maps (mean)"}
    labels = [names[str(line.get_gid())] for line in handles]
    first.figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
