"""How long a request may take to arrive.

Uvicorn sets no limit: a connection that sends nothing, or a byte now and then, is kept for ever, and with enough of
them nobody else gets an answer.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_LIMIT_S = 20.0  # all requests here are small: the longest is a webhook of 256 kB
_ARRIVING = {h11.IDLE, h11.SEND_BODY}  # what h11 calls a client whose request is not complete


class RequestDeadline(H11Protocol):
    """Closes a connection whose request, head and body, is not complete in time.

    The time begins with the connection, or with the first byte of a later request. A request that is complete is left
    alone, however long its answer takes; between requests uvicorn's own limit (keep-alive) holds.
    """

    limit_s = REQUEST_LIMIT_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in _ARRIVING or self.transport.is_closing():
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.limit_s, self._close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._deadline = None
        self.transport.close()
