"""The path that a proxy puts in front of ours, as in https://example.org/monitor: taken off where it was left on."""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send


class SubPath:
    """Tells the application its root path, whether the proxy passes it on or not."""

    def __init__(self, app: ASGIApp, service_url: str) -> None:
        self._app = app
        self._root = urlsplit(service_url).path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root and scope["type"] == "http":
            path = scope["path"]
            if path != self._root and not path.startswith(self._root + "/"):
                scope["path"] = self._root + path
            scope["root_path"] = self._root
        await self._app(scope, receive, send)
