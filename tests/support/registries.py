"""A model registry over HTTP that answers what a test wants: by hand, or as a proxy before a real one."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, object]
"""A status, and what goes out as JSON; text as it is."""
Ask = Callable[[str], Answer | None]
"""The answer to a path (after `/api/2.0/mlflow/`); None: ask the real server."""

NO_ALIAS: Answer = (
    400,
    {"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias champion not found."},
)


def no_model(name: str) -> Answer:
    return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Registered Model with name={name} not found"}


@contextmanager
def answering(ask: Ask, behind: str = "") -> Iterator[str]:
    """The address of such a registry, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chosen = ask(self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/"))
            if chosen is None and behind:
                status, content = self.real(body)
            else:
                status, said = chosen or (404, "nothing here")
                content = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def real(self, body: bytes) -> tuple[int, bytes]:
            headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
            request = urllib.request.Request(
                behind + self.path, data=body or None, method=self.command, headers=headers
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    return reply.status, reply.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - as http.server wants them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
