"""An interval against its limit, the size of a few words."""

import math

from markupsafe import Markup

WIDTH, HEIGHT = 150, 24
_MIDDLE, _CAP = HEIGHT / 2, 4


def interval_mark(
    observed: float | None,
    low: float | None,
    high: float | None,
    limit: float | None,
    *,
    greater_is_better: bool,
    label: str,
) -> Markup:
    """A dot with its interval as SVG, the limit as a dashed line, the good side of it shaded; empty if undefined.

    The scale is each mark's own: it shows on which side of the limit the interval lies, not how wide it is.

    Args:
        observed, low, high: the figure and its interval.
        limit: what the whole interval must clear.
        greater_is_better: which side of the limit is good.
        label: what a screen reader says.
    """
    if observed is None or low is None or high is None or limit is None or not math.isfinite(limit):
        return Markup("")
    left, right = min(low, limit, observed), max(high, limit, observed)
    margin = 0.15 * (right - left) or 0.1
    scale = WIDTH / (right - left + 2 * margin)

    def x(value: float) -> float:
        return round((value - left + margin) * scale, 1)

    start, end = (x(limit), float(WIDTH)) if greater_is_better else (0.0, x(limit))
    parts = (
        Markup('<rect class="good" x="{}" y="0" width="{}" height="{}"/>').format(start, round(end - start, 1), HEIGHT),
        Markup('<line class="limit" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(x(limit), HEIGHT),
        Markup('<path d="M{0} {2}V{3}M{0} {4}H{1}M{1} {2}V{3}"/>').format(
            x(low), x(high), _MIDDLE - _CAP, _MIDDLE + _CAP, _MIDDLE
        ),
        Markup('<circle cx="{}" cy="{}" r="3.4"/>').format(x(observed), _MIDDLE),
    )
    frame = Markup('<svg class="interval" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return frame.format(WIDTH, HEIGHT, label, Markup("").join(parts))
