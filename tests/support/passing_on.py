"""What stands before a server and passes on what it is asked, by hand: others make a guard of it, or a liar."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Answer = tuple[int, list[tuple[str, str]], bytes]
_OF_CONNECTION = {"connection", "transfer-encoding", "content-length", "host", "date", "server", "keep-alive"}


class PassingOn(BaseHTTPRequestHandler):
    """Takes any request with its body; `answer` decides what becomes of it.

    Attributes:
        upstream: host and port of the server.
        own_headers: what is for this one alone, in lower case.
    """

    protocol_version = "HTTP/1.1"
    upstream: str
    own_headers: frozenset[str] = frozenset()

    def answer(self, body: bytes) -> None:
        raise NotImplementedError

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.answer(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def passed_on(self, body: bytes) -> Answer:
        """What the server answers."""
        connection = http.client.HTTPConnection(self.upstream, timeout=120)
        dropped = _OF_CONNECTION | self.own_headers
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_CONNECTION]
        return answer.status, kept, content

    def say(self, status: int, headers: list[tuple[str, str]], content: bytes, length: int | None = None) -> None:
        """Answer; `length` is what is said of the content's."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Not to the tests' output."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that went away is what is tried."""


@contextmanager
def standing_before(server: str, handler: type[PassingOn], **attributes: Any) -> Iterator[str]:
    """Host and port at which the server is reached through the handler, which gets the attributes."""
    own = type(handler.__name__, (handler,), {"upstream": urlsplit(server).netloc, **attributes})
    here = _Server(("127.0.0.1", 0), own)
    thread = threading.Thread(target=here.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{here.server_port}"
    finally:
        here.shutdown()
        here.server_close()
        thread.join()
