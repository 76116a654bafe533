"""The pictures of a gallery: images as they are, and maps laid over them."""

import hashlib
import io
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Request, Response
from PIL import Image
from sqlalchemy import Engine

import case_monitor
from case_monitor.dashboard.parts.evaluation_head import EvaluationId
from case_monitor.dashboard.shell.resources import Held
from case_monitor.evidence.overlays import heated, masked
from case_monitor.store.read.gallery import gallery_image, gallery_map, saved_at

pictures = APIRouter()

Position = Annotated[int, Path(ge=0, le=2**31 - 1)]

_FOREVER = "private, max-age=31536000, immutable"
_FAST = 3  # of PNG's levels of compression: a quarter of the time of the default, a tenth larger


class View(StrEnum):
    """How a map is laid over its image."""

    HEAT = "heat"
    TOP = "top"


def picture_path(evaluation_id: int, position: int, method: str = "", rank: int = 0) -> str:
    """Where an image of a gallery is, or with a method one of its maps over it; without the root path."""
    of_map = f"/{quote(method, safe='')}/{rank}" if method else ""
    return f"/evaluation/{evaluation_id}/gallery/{position}{of_map}.png"


def overlay(image: bytes, saliency_map: bytes, view: View) -> bytes:
    """A map over its image, as PNG; where the map shows nothing, the image as it is outside of its mask.

    Args:
        image: PNG, RGB.
        saliency_map: PNG of the same size, mode LA: the map from 0 to 255, and 255 in its highest pixels.
        view: how.
    """
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    level, inside = np.moveaxis(np.asarray(Image.open(io.BytesIO(saliency_map))), -1, 0)
    shown = heated(pixels, level / 255) if view is View.HEAT and level.any() else masked(pixels, inside > 0)
    written = io.BytesIO()
    Image.fromarray(shown).save(written, "PNG", compress_level=_FAST)
    return written.getvalue()


@pictures.get("/evaluation/{evaluation_id}/gallery/{position}.png")
def send_image(request: Request, held: Held, evaluation_id: EvaluationId, position: Position, v: str = "") -> Response:
    """An image of the gallery."""
    return _answer(request, held.engine, evaluation_id, v, lambda: gallery_image(held.engine, evaluation_id, position))


@pictures.get("/evaluation/{evaluation_id}/gallery/{position}/{method}/{rank}.png")
def send_overlay(
    request: Request,
    held: Held,
    evaluation_id: EvaluationId,
    position: Position,
    method: str,
    rank: Literal["1", "2"],
    view: View = View.HEAT,
    v: str = "",
) -> Response:
    """A map over its image: rank 1 for the predicted class, 2 for the runner-up."""

    def draw() -> bytes | None:
        image = gallery_image(held.engine, evaluation_id, position)
        saliency_map = gallery_map(held.engine, evaluation_id, position, method, int(rank))
        return None if image is None or saliency_map is None else overlay(image, saliency_map, view)

    if "\0" in method:  # which PostgreSQL takes in no text
        raise HTTPException(404, "There is no such method.")
    return _answer(request, held.engine, evaluation_id, v, draw)


def _answer(
    request: Request, engine: Engine, evaluation_id: int, version: str, draw: Callable[[], bytes | None]
) -> Response:
    """The picture, or 304 where the browser has it: pictures change only when their evaluation is saved again.

    Where the address names the version of the picture, browsers need not ask again at all.
    """
    saved = saved_at(engine, evaluation_id)
    if saved is None:
        raise HTTPException(404, f"There is no evaluation {evaluation_id}.")
    parts = (case_monitor.__version__, request.url.path, request.url.query, saved.isoformat())
    tag = hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]
    lasting = version == picture_version(saved.timestamp())
    headers = {"ETag": f'"{tag}"', "Cache-Control": _FOREVER if lasting else "private, no-cache", "Vary": "Cookie"}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    picture = draw()
    if picture is None:
        raise HTTPException(404, "This picture is not stored.")
    return Response(picture, media_type="image/png", headers=headers)


def picture_version(saved: float) -> str:
    """What an address names: when the evaluation was saved, and by which package it is drawn."""
    return f"{case_monitor.__version__}-{saved:.6f}"
