"""The methods' colours as a style sheet, from their rows in the catalogue."""

from fastapi import APIRouter, Response

from case_monitor.dashboard.parts.charts import colour_property
from case_monitor.domain.methods import METHODS

METHOD_STYLES_PATH = "/static/methods.css"

method_styles = APIRouter()


@method_styles.get(METHOD_STYLES_PATH)
def show_method_styles() -> Response:
    """A custom property for each method, on light and on dark ground."""
    return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "no-cache"})


def style_sheet() -> str:
    """In the blocks of `static/style.css`: light, dark where the system says so, dark where the reader does."""
    light, dark = (
        " ".join(f"{colour_property(m.name)}: {colour};" for m, colour in colours)
        for colours in ([(m, m.light) for m in METHODS.values()], [(m, m.dark) for m in METHODS.values()])
    )
    return (
        f":root {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {{ {dark} }}\n'
    )
