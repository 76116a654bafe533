"""The paper's Figs. 4 to 11 over the models of a study."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.evidence.pictures import style
from case_monitor.evidence.study.cells import StudyCell, columns, data_sets
from case_monitor.evidence.study.findings import mean_agreement, seed_concordance
from case_monitor.judging.distributions import density, histogram

_BINS = 20
_LINES = ("-", "--", ":", "-.")


def study_figures(cells: Sequence[StudyCell]) -> Iterator[tuple[str, str, Figure]]:
    """(name of a file, caption, figure)."""
    for data in data_sets(cells):
        main, further = tuple(columns(cells, data)), tuple(columns(cells, data, further=True))
        several = tuple(seeds for seeds in main if len(seeds) > 1)
        if several:
            yield f"seeds-{data}", f"{data}: mean agreement over training seeds (Fig. 4)", _over_seeds(several, data)
        for seeds in main:
            layers = (seeds, *(other for other in further if other[0].model == seeds[0].model))
            if len(layers) > 1:
                caption = f"{seeds[0].title}, {data}: active channels at two or more layers (Fig. 5)"
                yield f"layers-{seeds[0].model}", caption, _activity([s[0] for s in layers], by_layer=True)
        if main:
            caption = f"{data}: active channels of the architectures (Fig. 6)"
            yield f"channels-{data}", caption, _activity([seeds[0] for seeds in main], by_layer=False)
            caption = f"{data}: agreement of the maps of the first and the second class (Figs. 7 to 11)"
            yield f"agreement-{data}", caption, _histograms([seeds[0] for seeds in main], data)


def _over_seeds(models: Sequence[tuple[StudyCell, ...]], data: str) -> Figure:
    names = models[0][0].methods
    fig = style.new_figure(max(2.9 * len(models), 7), 0.42 * len(names) + 1.9)
    w = ", ".join(f"{seeds[0].title} {seed_concordance(seeds):.2f}" for seeds in models)
    style.header(
        fig,
        f"How much the order of the methods depends on the training seed: Kendall's W {w}",
        f"{data} · each mark is a seed, the bar is their mean · mean agreement of the top 5%; lower is better",
    )
    axes = fig.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for ax, seeds in zip(axes, models, strict=True):
        _strips(ax, seeds)
    axes[0].set_yticks(range(len(names)), [style.method_title(m) for m in names], fontsize=8)
    axes[0].invert_yaxis()
    return style.literal(fig)


def _strips(ax: Axes, seeds: tuple[StudyCell, ...]) -> None:
    style.tidy(ax)
    ax.set_title(seeds[0].title, fontsize=10, loc="left", color=style.INK)
    values = mean_agreement(seeds)
    for y, method in enumerate(seeds[0].methods):
        colour = style.method_colour(method)
        known = values[:, y][np.isfinite(values[:, y])]
        ax.plot(known, np.full(len(known), y), "o", color=colour, alpha=0.55, markersize=6, markeredgewidth=0)
        if known.size:
            ax.plot([known.mean()] * 2, [y - 0.3, y + 0.3], color=colour, linewidth=2)
    ax.axvline(INSENSITIVE, color=style.RED, linestyle="--", linewidth=1.2)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"], parse_math=False)
    ax.set_xlabel("mean agreement", fontsize=8)


def _activity(cells: Sequence[StudyCell], *, by_layer: bool) -> Figure:
    fig = style.new_figure(8, 4)
    what = "the layer" if by_layer else "the architecture"
    medians = [np.median(cell.active[np.isfinite(cell.active)]) for cell in cells if np.isfinite(cell.active).any()]
    spread = f"{min(medians):.1f} to {max(medians):.1f}" if medians else "none was measured"
    head = f"Median number of active channels by {what}: {spread}"
    style.header(fig, head, f"{cells[0].data} · density over classes of the mean over correctly classified images")
    ax = fig.add_subplot()
    style.tidy(ax)
    palette = [style.method_colour(m) for m in ("case", "gradcam", "scorecam", "ablationcam", "gradcam++", "layercam")]
    for i, cell in enumerate(cells):
        label = f"{cell.title}, {style.shorten(cell.layer, 46)}"
        _curve(ax, cell, label, palette[i % len(palette)], _LINES[i // len(palette) % len(_LINES)])
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.set_xlabel("mean number of active channels of a class", fontsize=9)
    ax.set_ylabel("density over classes", fontsize=9)
    if medians:
        ax.legend(frameon=False, fontsize=8)
    else:
        style.note(ax, "no class has a correctly classified image")
    return style.literal(fig)


def _curve(ax: Axes, cell: StudyCell, label: str, colour: str, line: str) -> None:
    values = cell.active[np.isfinite(cell.active)]
    curve = density(values)
    if curve is None:  # one number for all classes: a line where it is
        if values.size:
            ax.axvline(float(values[0]), color=colour, linestyle=line, label=f"{label} (the same for all)")
        return
    x, y = curve
    ax.plot(x, y, color=colour, linewidth=1.8, linestyle=line, label=label)
    ax.fill_between(x, y, color=colour, alpha=0.12, linewidth=0)


def _histograms(cells: Sequence[StudyCell], data: str) -> Figure:
    names = cells[0].methods
    fig = style.new_figure(max(1.75 * len(names), 7), 1.35 * len(cells) + 1.3)
    style.header(
        fig,
        "How alike the maps of the first and the second class are, by model and method",
        f"{data}, first seeds · share of images by the overlap of the top 5%, in bins of 5% · dashed: 50%; dotted: "
        "two random maps",
    )
    axes = fig.subplots(len(cells), len(names), sharex=True, sharey=True, squeeze=False)
    for row, cell in zip(axes, cells, strict=True):
        for ax, method in zip(row, names, strict=True):
            _bars(ax, cell, method)
        row[0].set_ylabel(cell.title, fontsize=9)
    for ax, method in zip(axes[0], names, strict=True):
        ax.set_title(style.method_title(method), fontsize=9, color=style.INK)
    for ax in axes[-1]:
        ax.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"], parse_math=False)
    return style.literal(fig)


def _bars(ax: Axes, cell: StudyCell, method: str) -> None:
    style.tidy(ax)
    ax.set_xlim(0, 1)
    ax.yaxis.set_major_formatter(lambda share, _: style.percent(share))
    values = cell.agreement(method)
    ax.axvline(INSENSITIVE, color=style.RED, linestyle="--", linewidth=1)
    chance = cell.figure("agreement_mean", "random")
    if chance is not None and math.isfinite(chance.value):
        ax.axvline(chance.value, color=style.INK, linestyle=":", linewidth=1)
    if not np.isfinite(values).any():
        style.note(ax, "no maps")
        return
    edges = np.arange(_BINS) / _BINS
    ax.bar(edges, histogram(values, _BINS), 1 / _BINS, align="edge", color=style.method_colour(method), linewidth=0)
    median, without = float(np.nanmedian(values)), int((~np.isfinite(values)).sum())
    said = f"median {style.percent(median)}" + (f"\n{without} without" if without else "")
    corner = {"transform": ax.transAxes, "ha": "right", "va": "top"}
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    ax.text(0.98, 0.96, said, corner, fontsize=7, color=style.INK, bbox=behind)
