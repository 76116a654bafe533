"""The JSON of the GPU's benchmark as tables for docs/performance.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ROWS = {
    "F": "a forward pass, F",
    "F, channels last": "the same, channels last",
    "F, TF32 on": "the same, TF32 in matrix products too",
    "F, TF32 off": "the same, no TF32",
    "F, channels last, folded": "the same, channels last, batch norm folded",
    "F, bfloat16, channels last": "the same, bfloat16, channels last",
    "F, bfloat16, channels last, folded": "the same, bfloat16, channels last, batch norm folded",
    "four gradient methods": "Grad-CAM, Grad-CAM++, LayerCAM, CASE in one call",
    "gradcam": "Grad-CAM",
    "case": "CASE",
    "ablationcam": "Ablation-CAM",
    "predict": "predict (the product's job)",
    "suite without Score-CAM": "suite without Score-CAM (the product's job)",
    "suite": "suite with Score-CAM (the product's job)",
}
"""What of the throughput is shown; the JSON has more."""
_SHOWN_LINES, _SHOWN_CODE = 8, 60


def as_markdown(found: Mapping[str, Any]) -> str:
    """Every section that there is."""
    makers = {
        "wall": _wall,
        "parity": _parity,
        "throughput": _throughput,
        "peers": _peers,
        "loader": _loader,
        "readbacks": _waits,
    }
    sections = found["sections"]
    return "\n\n".join("\n".join(makers[name](sections[name]["rows"])) for name in makers if name in sections)


def _wall(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield from _head("", "held here, s", "confined, s", "its first call, s", "differs")
    for r in rows:
        times = (f"{r[key]:.2f}" for key in ("held_again_s", "confined_again_s", "confined_first_s"))
        yield _line(r["network"], *times, ", ".join(r["differs"]) or "nothing")


def _parity(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    precisions = list(dict.fromkeys(r["precision"] for r in rows))
    yield from _head("largest difference from the CPU: map, norm, agreement, drop", *precisions)
    for network in dict.fromkeys(r["network"] for r in rows):
        cells = []
        for precision in precisions:
            of = [r for r in rows if r["network"] == network and r["precision"] == precision]
            kinds = ("map", "norm", "agreement", "drop")
            cells.append(", ".join(f"{max(r[key] for r in of):.1g}" for key in kinds) if of else "")
        yield _line(network, *cells)


def _throughput(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    networks = {r["network"]: f"{r['network']}, batch {r['batch']}" for r in rows}
    by_place = {(r["what"], r["network"]): r for r in rows}
    yield from _head("images/s (F per image; GiB)", *networks.values())
    for what, title in _ROWS.items():
        yield _line(title, *(_rate(by_place.get((what, network))) for network in networks))
    for what in ("Score-CAM", "Score-CAM, bfloat16"):
        yield _line(f"{what}, masked passes/s", *(_passes(by_place.get((what, network))) for network in networks))


def _rate(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    memory = f"; {row['peak_mib'] / 1024:.1f}" if row["peak_mib"] else ""
    return f"{_number(row['images_per_s'])} ({row['F']:.3g}{memory})"


def _passes(row: Mapping[str, Any] | None) -> str:
    return "" if row is None else f"{row['masked_passes_per_s']:.0f} ({row['F'] / row['channels']:.2g} F each)"


def _peers(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    networks = list(dict.fromkeys(r["model"] for r in rows))
    by_place = {(r["name"], r["unit"], r["model"]): r for r in rows}
    yield from _head("", *networks)
    for name, unit in dict.fromkeys((r["name"], r["unit"]) for r in rows):
        found = [by_place.get((name, unit, network)) for network in networks]
        cells = ["" if r is None else f"{_number(r['median'])}{' s' if r['scaled'] else ''}" for r in found]
        yield _line(f"{name} ({unit})", *cells)


def _loader(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield from _head("", "workers", "images/s", "first batch after", "GPU busy")
    for r in rows:
        workers = "in memory" if r["workers"] is None else str(r["workers"])
        rate = "" if r["images_per_s"] is None else f"{r['images_per_s']:.0f}"
        busy = "" if r.get("gpu_busy") is None else f"{r['gpu_busy']:.0%}"
        what = f"{r['what']}, run {r['run']}" if "run" in r else r["what"]  # where two runs were put together
        yield _line(what, workers, rate, f"{r['first_batch_s']:.1f} s", busy)


def _waits(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """The lines at which the host waits; without a GPU, where it would."""
    yield from _head("line", "calls", "in one batch of")
    for r in rows:
        for line, calls in list((r["waits"] or r["reads"])["lines"].items())[:_SHOWN_LINES]:
            place, _, code = line.partition(": ")
            yield _line(f"{place.removeprefix('case_monitor/')}: `{code[:_SHOWN_CODE]}`", str(calls), r["what"])


def _head(*titles: str) -> Iterable[str]:
    return _line(*titles), _line(*["---"] * len(titles))


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
