"""The client of the dashboards' benchmark gets what a server sent, however it sent it."""

import asyncio
import gzip
from collections.abc import Sequence

import pytest

from benchmarks.light_client import Answer, LightClient

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
PACKED = gzip.compress(b"a page" * 100)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PACKED[:7], PACKED[7:]))
    + b"0\r\n\r\n"
)
MISSING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


async def asked(answers: Sequence[bytes], *, per_connection: int) -> list[Answer]:
    """What a client gets from a server that sends these, and closes after so many."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(per_connection):
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = LightClient(server.sockets[0].getsockname()[1])
    found = [await client.get("/") for _ in answers]
    client.close()
    server.close()
    await server.wait_closed()
    return found


@pytest.mark.parametrize("per_connection", [1, 3])
def test_bodies_come_whole(per_connection: int) -> None:
    plain, chunked, missing = asyncio.run(asked([PLAIN, CHUNKED, MISSING], per_connection=per_connection))
    assert (plain.status, plain.body, plain.raw) == (200, b"hello", b"hello")
    assert (chunked.status, chunked.body, chunked.raw) == (200, PACKED, b"a page" * 100)
    assert (missing.status, missing.raw) == (404, b"")
