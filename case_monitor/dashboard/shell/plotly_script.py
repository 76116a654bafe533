"""Plotly's script as its wheel brings it, compressed once: nothing is loaded from elsewhere."""

import gzip
from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from plotly import __version__ as plotly_version

plotly_script = APIRouter()
# The version is part of the address, so that browsers may keep the script for good.
PLOTLY_PATH = f"/plotly-{plotly_version}.min.js"
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@plotly_script.get(PLOTLY_PATH)
def show_plotly(request: Request) -> Response:
    """4.5 MB, or 1.4 MB compressed."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = _FOREVER | {"Content-Encoding": "gzip"}
        return Response(_compressed(), media_type="text/javascript", headers=headers)
    return Response(_script(), media_type="text/javascript", headers=_FOREVER)


def _script() -> bytes:
    return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()


@lru_cache(maxsize=1)
def _compressed() -> bytes:
    return gzip.compress(_script(), 6, mtime=0)
