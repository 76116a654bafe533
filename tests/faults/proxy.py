"""A proxy before MLflow that misbehaves at a call, or from it on: by hand, so that half an answer can be given."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.passing_on import PassingOn, standing_before

CLIENT_TIMEOUT_S = 2
_LATE_S = 3.0
_MODEL_FILE = re.compile(r"GET mlflow-artifacts/artifacts/.*/models/.*/artifacts/.")


@dataclass
class Misbehaviour:
    """What goes wrong: `how`, at call `at` (counted from 0; None: never), once or from then on.

    Calls for a model's files count among themselves: `of_files` strikes those alone, else they are let through.
    """

    how: str = ""
    at: int | None = None
    lasts: bool = False
    of_files: bool = False
    calls: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, call: str) -> bool:
        """Whether this call is one of those that go wrong."""
        with self.turn:
            if bool(_MODEL_FILE.match(call)) is not self.of_files:
                return False
            number = len(self.calls)
            self.calls.append(call)
            hit = self.at is not None and (number == self.at or (self.lasts and number > self.at))
            if hit:
                self.struck.append(call)
            return hit


class _Proxy(PassingOn):
    misbehaviour: Misbehaviour

    def answer(self, body: bytes) -> None:
        call = f"{self.command} {urlsplit(self.path).path.removeprefix('/api/2.0/')}"
        if self.misbehaviour.takes(call):
            HOW[self.misbehaviour.how](self, body)
        else:
            self.say(*self.passed_on(body))

    def hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _status(code: int, *, done: bool = False) -> Callable[[_Proxy, bytes], None]:
    def answer(proxy: _Proxy, body: bytes) -> None:
        if done:
            proxy.passed_on(body)
        said = json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": f"the proxy says {code}"})
        proxy.say(code, [("Content-Type", "application/json")], said.encode())

    return answer


def _closed(proxy: _Proxy, body: bytes, *, done: bool = False) -> None:
    if done:
        proxy.passed_on(body)
    proxy.hang_up()


def _nothing(proxy: _Proxy, body: bytes) -> None:
    time.sleep(_LATE_S)
    proxy.hang_up()


def _late(proxy: _Proxy, body: bytes) -> None:
    answer = proxy.passed_on(body)
    time.sleep(_LATE_S)
    try:
        proxy.say(*answer)
    except OSError:
        proxy.close_connection = True  # nobody waited


def _half(proxy: _Proxy, body: bytes) -> None:
    status, headers, content = proxy.passed_on(body)
    proxy.say(status, headers, content[: len(content) // 2], length=len(content))
    proxy.hang_up()


def _nonsense(said: str) -> Callable[[_Proxy, bytes], None]:
    return lambda proxy, body: proxy.say(200, [("Content-Type", "application/json")], said.encode())


def _of_another(proxy: _Proxy, body: bytes) -> None:
    """The answer about another model: as this one's, with another name and another version."""
    status, headers, content = proxy.passed_on(body)
    other = content.replace(b"world-", b"other-").replace(b'"version": "2"', b'"version": "7"')
    proxy.say(status, headers, other)


HOW: dict[str, Callable[[_Proxy, bytes], None]] = {
    "429": _status(429),
    "500": _status(500),
    "503": _status(503),
    "500, and it was done": _status(500, done=True),
    "503, and it was done": _status(503, done=True),
    "closed": _closed,
    "closed, and it was done": lambda proxy, body: _closed(proxy, body, done=True),
    "nothing": _nothing,
    "late": _late,
    "half": _half,
    "{}": _nonsense("{}"),
    "[]": _nonsense("[]"),
    "null": _nonsense("null"),
    "another's": _of_another,
}


@contextmanager
def misbehaving(server: str, misbehaviour: Misbehaviour) -> Iterator[str]:
    """The address at which the server is reached through the proxy."""
    with standing_before(server, _Proxy, misbehaviour=misbehaviour) as address:
        yield f"http://{address}"
