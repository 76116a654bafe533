"""How the agreement of each method spreads over the images (paper, Figs. 7 to 11)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from case_monitor.dashboard.parts.charts import CONTROL, LIMIT, Figure, method_colour
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.judging.distributions import histogram

NUM_BINS = 20
CHANCE = "random"

Agreements = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPanel:
    """The histogram of one method."""

    method: str
    figure: Figure
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementBin:
    """The share of the images in one bin, by method and for two random maps; None where no image has a score."""

    bounds: str
    shares: tuple[float | None, ...]
    chance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPanels:
    """One panel per method, all drawn on one scale, and the same as numbers."""

    panels: tuple[AgreementPanel, ...]
    bins: tuple[AgreementBin, ...]


def agreement_panels(agreements: Agreements, methods: Sequence[str], gate_method: str) -> AgreementPanels:
    """Histograms of all methods on one scale.

    Args:
        agreements: method -> the agreement of every explained image, NaN where it is undefined; also of `random`.
        methods: which, in which order.
        gate_method: the one that the gate judges.
    """
    shares = {method: _shares(values) for method, values in agreements.items()}
    top = max((max(shares[m]) for m in methods if shares.get(m)), default=1.0)
    chance = _mean(agreements.get(CHANCE, ()))
    return AgreementPanels(
        panels=tuple(
            AgreementPanel(
                method=method,
                figure=_figure(method, shares.get(method, ()), chance, top),
                summary=_summary(method, agreements.get(method, ()), is_gate=method == gate_method),
            )
            for method in methods
        ),
        bins=tuple(_bin(i, shares, methods) for i in range(NUM_BINS)),
    )


def _bin(i: int, shares: Mapping[str, Sequence[float]], methods: Sequence[str]) -> AgreementBin:
    def share(method: str) -> float | None:
        return shares[method][i] if shares.get(method) else None

    width = 100 // NUM_BINS
    bounds = f"{width * i}–{width * (i + 1)}%"
    return AgreementBin(bounds=bounds, shares=tuple(map(share, methods)), chance=share(CHANCE))


def _shares(values: Sequence[float]) -> tuple[float, ...]:
    defined = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    return tuple(histogram(defined, NUM_BINS).tolist()) if len(defined) else ()


def _mean(values: Sequence[float]) -> float | None:
    defined = [value for value in values if math.isfinite(value)]
    return sum(defined) / len(defined) if defined else None


def _figure(method: str, shares: Sequence[float], chance: float | None, top: float) -> Figure:
    marks = [_mark(INSENSITIVE, LIMIT, "dash")] + ([] if chance is None else [_mark(chance, CONTROL, "dot")])
    bars = {
        "type": "bar",
        "x": [(i + 0.5) / NUM_BINS for i in range(len(shares))],
        "y": list(shares),
        "width": 1 / NUM_BINS,
        "marker": {"color": method_colour(method)},
        "hovertemplate": "%{y:.1%} of the images<extra></extra>",
    }
    layout = {
        "shapes": marks,
        "bargap": 0,
        "margin": {"l": 46, "r": 8, "t": 6, "b": 34},
        "xaxis": {"range": [0, 1], "tickformat": ".0%", "dtick": 0.25, "fixedrange": True},
        "yaxis": {"range": [0, 1.08 * top], "tickformat": ".0%", "nticks": 5, "fixedrange": True},
        "showlegend": False,
    }
    return {"data": [bars], "layout": layout}


def _mark(x: float, colour: str, dash: str) -> dict[str, object]:
    line = {"color": colour, "dash": dash, "width": 1.6}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}


def _summary(method: str, values: Sequence[float], *, is_gate: bool) -> str:
    title = f"{method_title(method)}{' (gate)' if is_gate else ''}"
    defined = [value for value in values if math.isfinite(value)]
    without = len(values) - len(defined)
    if not defined:
        return f"{title}: no image has two usable maps."
    above = sum(value >= INSENSITIVE for value in defined)
    left_out = f"; {without} without a usable map left out" if without else ""
    return f"{title}: {above} of {len(defined)} images share half of their top pixels or more{left_out}."
