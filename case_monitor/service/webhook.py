"""What MLflow tells: a version was registered. Anybody can send that, so it is believed only with a signature."""

import base64
import hashlib
import hmac
import logging
import time
from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.errors import CaseMonitorError
from case_monitor.domain.model_ref import MAX_VERSION
from case_monitor.registry.announce import announce
from case_monitor.settings import Settings
from case_monitor.store.work.announcements import note_announcement
from case_monitor.store.work.deliveries import forget_delivery, take_delivery

MAX_BODY = 256 * 1024
MAX_AGE_S = 300
_MAX_ID = 200

logger = logging.getLogger("case_monitor.webhook")
webhook = APIRouter()


class RegisteredVersion(BaseModel):
    """What we read of the event's data."""

    name: str = Field(min_length=1, max_length=10_000)
    version: int = Field(ge=1, le=MAX_VERSION)


class Delivery(BaseModel):
    """MLflow's event."""

    entity: Literal["model_version"]
    action: Literal["created"]
    data: RegisteredVersion


@webhook.post("/webhooks/mlflow", status_code=202)
async def receive(request: Request, held: Held) -> dict[str, str]:
    """Verify, then pass on to Prefect. 202: taken, or not one of our models; 503: send it again."""
    settings, engine = held.settings, held.engine
    body = await _body(request)
    delivery_id = _verified(settings, request, body)
    version = _registered(body)
    if version.name not in settings.models:
        return {"status": "ignored", "reason": "the model is not monitored"}
    try:
        if not await run_in_threadpool(take_delivery, engine, delivery_id):
            raise HTTPException(409, "this delivery has come before")
        try:
            await announce(version.name, version.version)
            await run_in_threadpool(note_announcement, engine, version.name, version.version)
        except BaseException:
            await run_in_threadpool(forget_delivery, engine, delivery_id)
            raise
    except CaseMonitorError as error:
        logger.error("%s", error)
        raise HTTPException(503, "the event could not be passed on; send it again") from None
    return {"status": "announced"}


async def _body(request: Request) -> bytes:
    """The body, as far as it is not too long: nobody makes us read gigabytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"at most {MAX_BODY} bytes are taken")
    return bytes(body)


def _verified(settings: Settings, request: Request, body: bytes) -> str:
    """The delivery's id, once signature and age are in order; which of them is not is nobody's business."""
    if settings.webhook_secret is None:
        raise HTTPException(503, "webhook_secret is not configured")
    delivery_id = request.headers.get("x-mlflow-delivery-id", "")
    timestamp = request.headers.get("x-mlflow-timestamp", "")
    signature = request.headers.get("x-mlflow-signature", "")
    expected = signed(settings.webhook_secret.get_secret_value(), delivery_id, timestamp, body)
    genuine = hmac.compare_digest(signature.encode(errors="replace"), expected.encode())
    if not genuine or not delivery_id or len(delivery_id) > _MAX_ID or not _is_recent(timestamp):
        logger.warning("a webhook delivery without a valid signature was refused")
        raise HTTPException(401, "a valid and recent signature was expected")
    return delivery_id


def signed(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """MLflow's signature: HMAC-SHA256 of `id.timestamp.body`."""
    content = f"{delivery_id}.{timestamp}.".encode(errors="replace") + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()


def _is_recent(timestamp: str) -> bool:
    return timestamp.isascii() and timestamp.isdecimal() and abs(time.time() - int(timestamp[:20])) <= MAX_AGE_S


def _registered(body: bytes) -> RegisteredVersion:
    try:
        return Delivery.model_validate_json(body).data
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise HTTPException(422, f"{field or 'body'}: {error.errors()[0]['msg']}") from None
