"""`layers`: which layer of a version to explain. Names are untrusted: Text, never markup."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from case_monitor.cli.progress import showing_progress
from case_monitor.cli.run import request_for
from case_monitor.cli.say import print_json
from case_monitor.cli.standard_output import results_console
from case_monitor.domain.arrays import defined
from case_monitor.domain.methods import method_title
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.layer_advice import LayerAdvice, LayerFigures
from case_monitor.steps.layers import layers_of


def run_layers(model: str, names: Sequence[str], images: int, config: Path | None, *, as_json: bool) -> None:
    """Explain some images at several layers, and show what came of it."""
    with showing_progress(f"layers {model}"):
        advice = layers_of(request_for(model, config, reuse=False, first=True), names, images)
    if as_json:
        print_json(_as_dict(advice))
    else:
        _show(advice, results_console())


def _show(advice: LayerAdvice, console: Console) -> None:
    title = f"Layers at {advice.images} images, {method_title(advice.method)} shown"
    table = Table(title=title, title_justify="left")
    for header in ("layer", "know their class", "shown", "fidelity", "alike", "channels", "s"):
        table.add_column(header, justify="left" if header == "layer" else "right", overflow="fold")
    for row in advice.rows:
        name = Text(row.layer, style="bold" if row.layer == advice.recommended else "")
        if row.layer == advice.taken:
            name.append(" (taken now)")
        if row.problem:
            table.add_row(name, Text("cannot be explained"), *[""] * 5)
        else:
            table.add_row(name, *_cells(row))
    console.print(table)
    for row in advice.rows:
        if row.problem:
            console.print(Text(f"{row.layer}: {row.problem}"))
    console.print(Text(advice.reason, style="bold"))
    if advice.recommended != advice.taken:
        console.print(Text(f"Recommended: protocol.target_layer: {advice.recommended}"))


def _cells(row: LayerFigures) -> list[str]:
    pair, fidelity = row.figures.get("pair_contrast"), row.value("fidelity_dz")
    known = pair is not None and math.isfinite(pair.ci_low)
    interval = f" ({pair.ci_low:.0%} to {pair.ci_high:.0%})" if pair is not None and known else ""
    return [
        _percent(row.value("pair_contrast")) + interval,
        _percent(row.value("shown_contrast")),
        "-" if fidelity is None else f"{fidelity:.2f}",
        _percent(row.value("agreement_median")),
        f"{row.active_channels:.0f}",
        f"{row.seconds:.1f}",
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _as_dict(advice: LayerAdvice) -> dict[str, Any]:
    return {
        "method": advice.method,
        "images": advice.images,
        "taken": advice.taken,
        "recommended": advice.recommended,
        "reason": advice.reason,
        "layers": [
            {
                "layer": row.layer,
                "problem": row.problem,
                "active_channels": defined(row.active_channels),
                "seconds": defined(row.seconds),
                "figures": [_record(s) for s in row.figures.values()],
                "gain": None if row.gain is None else _record(row.gain),
            }
            for row in advice.rows
        ],
    }


def _record(summary: MetricSummary) -> dict[str, Any]:
    fields = asdict(summary)
    return {name: defined(value) if isinstance(value, float) else value for name, value in fields.items()}
