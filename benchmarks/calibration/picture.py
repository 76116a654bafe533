"""The figures that the rules of contrast ask about, a dot for each network, with their limits."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.calibration.kinds import KINDS, Goal
from benchmarks.calibration.results import Result
from case_monitor.domain.policy import CONTRAST_THRESHOLDS
from case_monitor.evidence.pictures import style

_HEALTHY, _BAD, _OTHER = "#0072B2", "#D55E00", "#5F5F5F"
_COLOURS = {Goal.PASS: _HEALTHY, Goal.AS_TWIN: _HEALTHY, Goal.WITHHOLD: _BAD, Goal.WITHHOLD_BESIDE: _BAD}
_TITLES = {
    "pair_contrast": "pair contrast",
    "shown_contrast": "shown contrast (CASE)",
    "fidelity_dz": "fidelity (CASE)",
}
_WIDTH, _HEIGHT_OF_A_KIND = 9.0, 0.24


def picture(results: Sequence[Result]) -> Figure:
    """A panel for each figure, a row for each kind."""
    kinds = [kind for kind in KINDS if any(r.kind.name == kind for r in results)]
    fig = style.new_figure(_WIDTH, 1.6 + _HEIGHT_OF_A_KIND * len(kinds))
    style.header(
        fig,
        "What tells healthy networks from bad ones, and what does not",
        "a mark is one network, on all images of its pool that it gets right: round on digits, square on glyphs, "
        "filled if held out; the line is the limit of the rule, and what is good lies to its right",
    )
    panels = fig.subplots(1, len(_TITLES), sharey=True)
    for ax, (metric, title) in zip(panels, _TITLES.items(), strict=True):
        _panel(ax, metric, title, kinds, results)
    panels[0].set_yticks(range(len(kinds)), kinds, fontsize=9, color=style.INK)
    panels[0].invert_yaxis()
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", markersize=5, label=words)
        for colour, words in ((_HEALTHY, "should pass"), (_BAD, "should be withheld"), (_OTHER, "warned, or told"))
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return style.literal(fig)


def _panel(ax: Axes, metric: str, title: str, kinds: Sequence[str], results: Sequence[Result]) -> None:
    style.tidy(ax)
    ax.set_title(f"{title}, limit {_limit(metric):g}", fontsize=10, color=style.INK, loc="left")
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    ax.axvline(_limit(metric), color=style.RED, linewidth=1.2)
    for result in results:
        kind = result.kind
        colour = _COLOURS.get(kind.goal, _OTHER)
        ax.plot(
            result.figures.get(metric, math.nan),
            kinds.index(kind.name) + 0.22 * (result.version.seed - 1),
            marker="o" if result.version.images.name == "digits" else "s",
            markersize=4.5,
            markeredgecolor=colour,
            markerfacecolor=colour if result.version.held_out else "white",
            linestyle="",
        )
    for row, kind in enumerate(kinds):
        if all(math.isnan(r.figures.get(metric, math.nan)) for r in results if r.kind.name == kind):
            ax.text(_limit(metric), row, "no map", color=style.MUTED, fontsize=8, ha="center", backgroundcolor="white")
    ax.set_ylim(-0.6, len(kinds) - 0.4)


def _limit(metric: str) -> float:
    return next(t.limit for t in CONTRAST_THRESHOLDS if t.metric == metric and t.limit is not None)
