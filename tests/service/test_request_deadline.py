"""Connections whose request never becomes complete, at a real server; the others must not notice.

No test depends on how fast the machine is: that the limit has passed is seen by another connection that it closes.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn

from case_monitor.service.request_deadline import RequestDeadline

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


class Quick(RequestDeadline):
    limit_s = 2.0


class Application:
    """Answers `ok` once the body has come; `/slow` waits until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if scope["method"] == "POST":
            while (message := await receive())["type"] == "http.request" and message["more_body"]:
                pass
        if scope["path"] == "/slow":
            self.asked.set()
            while not self.go.is_set():
                await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def port(application: Application) -> Iterator[int]:
    config = uvicorn.Config(
        application, port=0, http=Quick, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=300
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    application.go.set()
    server.should_exit = True
    thread.join(60)


@contextmanager
def connected(port: int, first: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(first)
        yield connection


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection; fails after a minute."""
    came = b""
    while True:
        try:
            part = connection.recv(1000)
        except ConnectionResetError:
            return came
        if not part:
            return came
        came += part


def send_slowly(connection: socket.socket) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        connection.sendall(b"x")
        time.sleep(0.05)


def receive_answer(connection: socket.socket) -> None:
    came = b""
    while not came.endswith(b"\r\n\r\nok"):
        part = connection.recv(1000)
        assert part, came
        came += part
    assert came.startswith(b"HTTP/1.1 200")


def wait_for_the_limit(port: int) -> None:
    with connected(port, b"GET /") as other:
        assert received(other) == b""


def test_what_never_becomes_a_request_is_closed(port: int) -> None:
    parts = [b"", b"GET / HT", GET, POST, POST + b"12345", GET + b"X-More: " + b"x" * 1000]
    with ExitStack() as opened:
        for connection in [opened.enter_context(connected(port, part)) for part in parts]:
            assert received(connection) == b""


@pytest.mark.parametrize("start", [GET + b"X-Slow: ", POST.replace(b"10", b"100000")])
def test_a_byte_now_and_then_gains_no_time(port: int, start: bytes) -> None:
    with connected(port, start) as connection, pytest.raises(OSError, match=r"[Bb]roken pipe|reset"):
        send_slowly(connection)


def test_an_answer_before_the_end_of_the_body_changes_nothing(port: int) -> None:
    with connected(port, GET + b"Content-Length: 10\r\n\r\n12345") as connection:
        assert received(connection).endswith(b"\r\n\r\nok")


def test_a_request_that_is_being_answered_is_left_alone(port: int, application: Application) -> None:
    with connected(port, b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") as connection:
        assert application.asked.wait(60)
        wait_for_the_limit(port)
        application.go.set()
        assert received(connection).endswith(b"\r\n\r\nok")


def test_a_connection_that_is_kept_has_a_limit_for_each_request(port: int) -> None:
    with connected(port, GET + b"\r\n") as connection:
        receive_answer(connection)
        wait_for_the_limit(port)
        connection.sendall(POST + b"1234567890")
        receive_answer(connection)
        connection.sendall(b"GET")
        assert received(connection) == b""
