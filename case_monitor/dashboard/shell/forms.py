"""What a form sends, as far as it is this visitor's own form."""

import hmac
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, HTTPException, Request

from case_monitor.dashboard.shell.visitor import visitor_of

MAX_BYTES = 16 * 1024
MAX_FIELDS = 20
KEY_FIELD = "form_key"
_TYPE = "application/x-www-form-urlencoded"


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a form, whoever sent it; of several with one name the last.

    Raises:
        HTTPException: it is no form, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise HTTPException(415, f"a form ({_TYPE}) was expected")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"at most {MAX_BYTES} bytes are taken")
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise HTTPException(422, f"at most {MAX_FIELDS} fields were expected") from None


async def own_form(request: Request) -> dict[str, str]:
    """The fields of a form that this visitor was given: its key is the visitor's.

    Raises:
        HTTPException: it is another's, or as in `form_fields`.
    """
    fields, visitor = await form_fields(request), visitor_of(request)
    came = fields.pop(KEY_FIELD, "")
    if visitor.by_token:
        return fields
    if not visitor.form_key or not hmac.compare_digest(came.encode(), visitor.form_key.encode()):
        raise HTTPException(403, "This form is out of date. Go back, load the page again, and send it once more.")
    return fields


OwnForm = Annotated[dict[str, str], Depends(own_form)]
