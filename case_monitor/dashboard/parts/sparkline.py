"""A line the size of a word."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT, _MARGIN = 132, 28, 3


def sparkline(values: Sequence[float | None], limit: float | None, label: str) -> Markup:
    """Shares from 0 to 1 as SVG, with a dashed limit and a dot on the last; gaps where a value is undefined.

    Args:
        values: in order of time.
        limit: a share that is marked, or None.
        label: what a screen reader says.
    """
    step = (WIDTH - 2 * _MARGIN) / max(len(values) - 1, 1)
    points = [None if v is None else (_MARGIN + i * step, _y(v)) for i, v in enumerate(values)]
    parts = [Markup('<polyline points="{}"/>').format(_text(run)) for run in _runs(points) if len(run) > 1]
    parts += [_dot(run[0], "alone") for run in _runs(points) if len(run) == 1]
    if points and points[-1] is not None:
        parts.append(_dot(points[-1], "last"))
    if limit is not None:
        parts.insert(0, Markup('<line class="limit" x1="0" x2="{0}" y1="{1}" y2="{1}"/>').format(WIDTH, _y(limit)))
    frame = Markup('<svg class="sparkline" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return frame.format(WIDTH, HEIGHT, label, Markup("").join(parts))


def _y(value: float) -> float:
    return round(HEIGHT - _MARGIN - min(max(value, 0.0), 1.0) * (HEIGHT - 2 * _MARGIN), 1)


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _text(run: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in run)


def _dot(point: tuple[float, float], kind: str) -> Markup:
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="2.2"/>').format(kind, *point)
