"""Pages that are kept as long as nothing changed that they show."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from weakref import WeakValueDictionary

from cachetools import TTLCache
from fastapi import Request, Response
from sqlalchemy import Engine

import case_monitor
from case_monitor.dashboard.shell.records import Record
from case_monitor.store.read.changes import change_token

MAX_BYTES = 64 * 1024 * 1024
MAX_AGE_S = 60  # for what the token does not tell: pruned scores


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    body: bytes  # gzip
    media_type: str


class PageCache:
    """Rendered answers by what was asked for and the state of the database; safe for threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._kept: TTLCache[str, _Kept] = TTLCache(max_bytes, MAX_AGE_S, getsizeof=lambda kept: len(kept.body))
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._being_made: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def answer(
        self, request: Request, engine: Engine, asked: Record | None, media_type: str, render: Callable[[], bytes]
    ) -> Response:
        """What `render` gives, or gave: 304 where the browser has it already.

        Args:
            request: whose path says what is asked for, together with `asked`; `render` may depend on nothing else but
                the database.
            engine: the results database.
            asked: what was read of the query, a frozen record of plain values; None: the path says it all.
            media_type: of the answer.
            render: makes the body.
        """
        tag = _tag(request.url.path, asked, change_token(engine))
        headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Cookie"}
        if f'"{tag}"' in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        with self._lock:
            kept, being_made = self._kept.get(tag), self._being_made.setdefault(tag, Lock())
        if kept is None:
            with being_made:  # who asks meanwhile waits for the first
                kept = self._made(tag, media_type, render)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(kept.body, media_type=kept.media_type, headers=headers | {"Content-Encoding": "gzip"})
        return Response(gzip.decompress(kept.body), media_type=kept.media_type, headers=headers)

    def _made(self, tag: str, media_type: str, render: Callable[[], bytes]) -> _Kept:
        with self._lock:
            kept = self._kept.get(tag)
        if kept is None:
            kept = _Kept(body=gzip.compress(render(), 5, mtime=0), media_type=media_type)
            if len(kept.body) <= self._max_bytes:
                with self._lock:
                    self._kept[tag] = kept
        return kept


def _tag(path: str, asked: Record | None, token: str) -> str:
    """Names the answer, in every process alike. Whatever else is in the query makes no other page."""
    parts = (case_monitor.__version__, path, repr(asked), token)
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]
