"""A reverse proxy that asks for a password (HTTP basic), as people put one before MLflow."""

import base64
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

_OF_CONNECTION = {"connection", "transfer-encoding", "content-length", "host", "authorization", "date", "server"}


class _Guard(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taken: ClassVar[set[str]]
    upstream: ClassVar[str]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        if self.headers.get("Authorization") in self.taken:
            self._pass_on(body)
        else:
            self._answer(401, [("WWW-Authenticate", "Basic")], b"")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_CONNECTION}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_CONNECTION]
        self._answer(answer.status, kept, content)
        connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Not to the tests' output."""


@contextmanager
def guarded(server: str, *logins: str) -> Iterator[str]:
    """Gives host and port at which `server` can be reached with one of these logins (user:password)."""
    of_logins = {f"Basic {base64.b64encode(login.encode()).decode()}" for login in logins}
    guard = type("Guard", (_Guard,), {"taken": of_logins, "upstream": urlsplit(server).netloc})
    server_here = ThreadingHTTPServer(("127.0.0.1", 0), guard)
    server_here.daemon_threads = True
    thread = threading.Thread(target=server_here.serve_forever, args=[0.05])
    thread.start()
    try:
        yield f"127.0.0.1:{server_here.server_address[1]}"
    finally:
        server_here.shutdown()
        server_here.server_close()
        thread.join()
