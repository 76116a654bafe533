"""What all charts share. A chart is a Plotly figure as plain data; `static/charts.js` draws it in the page's theme."""

from functools import lru_cache
from html import escape
from textwrap import wrap

from case_monitor.domain.methods import METHODS

Figure = dict[str, object]
"""{"data": [...], "layout": {...}} in Plotly's format; a colour may be `var(--name)`, a custom property of the page."""

CONTROL = "var(--control)"
BAND = "var(--band)"
LIMIT = "var(--fail)"


def method_colour(method: str) -> str:
    """The method's colour, the same on every page: a property that `method_styles` sets."""
    return f"var({colour_property(method)})" if method in METHODS else CONTROL


def colour_property(method: str) -> str:
    """What the style sheet calls the method's colour.

    >>> colour_property("gradcam++")
    '--gradcampp'
    """
    return f"--{method.replace('+', 'p')}"


def method_symbol(method: str) -> str:
    """The method's marker, the same on every page."""
    return METHODS[method].marker if method in METHODS else "circle-open"


def limit_line(value: float, text: str) -> Figure:
    """Parts of a layout that draw a dashed limit across the y axis."""
    line = {"color": LIMIT, "dash": "dash", "width": 1}
    shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}
    place = {"xref": "paper", "x": 1, "xanchor": "right", "y": value, "yanchor": "bottom"}
    return {"shapes": [shape], "annotations": [{**place, "text": text, "showarrow": False, "font": {"color": LIMIT}}]}


def rounded(value: float | None) -> float | None:
    """To five significant digits: more cannot be seen, and make pages long.

    >>> rounded(0.123456789), rounded(None)
    (0.12346, None)
    """
    return None if value is None else float(f"{value:.5g}")


@lru_cache(maxsize=4096)  # several charts of a page say the same
def plotly_text(text: str, width: int = 60, most: int = 300) -> str:
    """A user's text for Plotly, which reads some HTML in its texts: escaped, shortened, in lines.

    >>> plotly_text("<b>bold</b> & long", width=12)
    '&lt;b&gt;bold&lt;/b&gt;<br>&amp; long'
    """
    lines = wrap(text if len(text) <= most else text[: most - 1] + "…", width)
    return "<br>".join(map(escape, lines))
