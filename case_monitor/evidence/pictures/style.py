"""What all figures share: colours, method names, headers, and text that is drawn literally."""

import math
import textwrap
import unicodedata
from collections import Counter
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from case_monitor.domain import methods
from case_monitor.domain.evaluation import Evaluation

CONTROL_COLOUR = "#8C8C8C"
INK = "#222222"
MUTED = "#5F5F5F"
RED = "#CC1414"
NAME_WIDTH = 24

# Tried in this order where installed, for class names that DejaVu Sans cannot write.
_FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans JP",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Noto Emoji",
    "Symbola",
)
# Matplotlib brings this one; it draws a box for every character, without a warning for each.
_BOXES = "Last Resort High-Efficiency"


def method_title(method: str) -> str:
    """The human name of `method`; an unknown one is shown as it is, shortened."""
    return methods.METHODS[method].title if method in methods.METHODS else shorten(method, NAME_WIDTH)


def method_colour(method: str) -> str:
    """The colour of `method` in every figure."""
    return methods.METHODS[method].ink if method in methods.METHODS else "#444444"


def saliency_methods(evaluation: Evaluation) -> tuple[str, ...]:
    """The methods of the protocol, then any others that have scores; the random control is none."""
    names = (*evaluation.provenance.protocol.methods, *evaluation.scores.methods)
    return tuple(name for name in dict.fromkeys(names) if name != "random")


def shorten(text: str, width: int) -> str:
    r"""`text` on one line of at most `width` columns: control characters written out, the rest cut with `…`.

    >>> shorten("great white shark", 9)
    'great wh…'
    >>> print(shorten("a\nb", 9))
    a\nb
    """
    visible = "".join(char if char.isprintable() else _escape(char) for char in text[: 4 * width])
    if _columns(visible) <= width and len(text) <= 4 * width:
        return visible
    kept = ""
    for char in visible:
        if _columns(kept + char) > width - 1:
            break
        kept += char
    return kept + "…"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def class_labels(names: tuple[str, ...], width: int = NAME_WIDTH) -> tuple[str, ...]:
    """Short labels of all classes, each different.

    A label gets its class index where shortening made two alike, where the name is blank, and where no
    installed font can write it.
    """
    short = [shorten(name, width) for name in names]
    seen = Counter(short)
    return tuple(
        label if seen[label] == 1 and label.strip() and _drawable(label) else _numbered(names[i], i, width)
        for i, label in enumerate(short)
    )


def _numbered(name: str, class_idx: int, width: int) -> str:
    number = f"#{class_idx}"
    return f"{shorten(name, max(width - len(number) - 1, 2))} {number}".strip()


def _drawable(text: str) -> bool:
    return all(ord(char) in _code_points() for char in text)


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    return _installed("DejaVu Sans", *_FALLBACK_FONTS)


@lru_cache(maxsize=1)
def _boxes() -> tuple[str, ...]:
    return _installed(_BOXES)


def _installed(*families: str) -> tuple[str, ...]:
    names = {entry.name for entry in font_manager.fontManager.ttflist}
    return tuple(family for family in families if family in names)


@lru_cache(maxsize=1)
def _code_points() -> frozenset[int]:
    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in _families())
    return frozenset(code for font in fonts for code in font.get_charmap())


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """An empty white figure with a canvas of its own: no pyplot, no state shared between threads."""
    fig = Figure(figsize=(width, height), facecolor="white", layout="constrained" if constrained else None)
    FigureCanvasAgg(fig)
    return fig


def header(fig: Figure, finding: str, detail: str) -> float:
    """Write the finding and a line of detail at the top.

    Returns:
        The fraction of the figure's height left below; a constrained layout is told to stay within it.
    """
    width, height = fig.get_size_inches()
    lines = _wrap(finding, width * 10.4)
    small = _wrap(detail, width * 13.5)
    title_height, line_height = 0.24 * len(lines), 0.19 * len(small)
    left = 0.12 / width
    fig.text(left, 1 - 0.12 / height, "\n".join(lines), va="top", fontsize=12, weight="bold", color=INK)
    fig.text(left, 1 - (0.15 + title_height) / height, "\n".join(small), va="top", fontsize=9, color=MUTED)
    top = float(1 - (0.25 + title_height + line_height) / height)
    engine = fig.get_layout_engine()
    if engine is not None:
        # Constrained layout takes these; the stub describes the engines' common base only.
        engine.set(rect=(0, 0, 1, top), w_pad=0.08, h_pad=0.06)  # type: ignore[call-arg]
    return top


def _wrap(text: str, columns: float) -> list[str]:
    wide = _columns(text) - len(text)
    return textwrap.wrap(text, max(int(columns) - wide, 20)) or [""]


def subject(evaluation: Evaluation) -> str:
    """Which model on which split: the start of every figure's line of detail."""
    model = f"{shorten(evaluation.model.name, 40)} version {evaluation.model.version}"
    return f"{model} on {shorten(evaluation.split.name, 30)}"


def note(ax: Axes, text: str) -> None:
    """Say `text` in the middle of an otherwise empty panel."""
    where = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    ax.text(0.5, 0.5, text, where, color=MUTED, fontsize=9, backgroundcolor=ax.get_facecolor())


def notice(evaluation: Evaluation, finding: str, reason: str) -> Figure:
    """A figure for when there is nothing to draw: it says so."""
    fig = new_figure(8, 2.4)
    header(fig, finding, subject(evaluation))
    ax = fig.add_subplot()
    ax.set_axis_off()
    note(ax, reason)
    return literal(fig)


def tidy(ax: Axes) -> None:
    """Take away the lines that carry nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, colors=MUTED)
    ax.set_axisbelow(True)


def literal(fig: Figure) -> Figure:
    """Draw every text as it stands: `$` is a dollar sign, never mathematics."""
    for artist in fig.findobj(Text):
        if isinstance(artist, Text):
            artist.set_parse_math(False)
            artist.set_usetex(False)
            _set_font(artist)
    return fig


def _set_font(text: Text) -> None:
    if _drawable(text.get_text().replace("\n", "")):
        text.set_fontfamily(list(_families()))
    else:
        text.set_fontfamily([*_families(), *_boxes()])
        text.set_fontweight("normal")  # the boxes come in no other weight


def percent(value: float) -> str:
    """A share as whole per cent; small ones with one decimal; undefined as `n/a`."""
    if not math.isfinite(value):
        return "n/a"
    return f"{100 * value:.1f}%" if 0 < abs(value) < 0.0095 else f"{100 * value:.0f}%"


def interval(low: float, high: float, level: float) -> str:
    """`95% CI 20% to 27%`, or a statement that there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no confidence interval"
    return f"{100 * level:g}% CI {percent(low)} to {percent(high)}"
