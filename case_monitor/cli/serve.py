"""`serve`; uvicorn and what it serves are imported once the arguments are known to be right."""

import ipaddress
import logging
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text
from sqlalchemy import Engine

from case_monitor.cli.standard_error import error_console
from case_monitor.service import create_app
from case_monitor.settings import Settings, load_settings
from case_monitor.store.connection import shown
from case_monitor.store.open import open_store
from case_monitor.store.read.operations import has_evaluations


def run_serve(host: str, port: int, config: Path | None) -> None:
    """Serve until stopped."""
    import uvicorn

    from case_monitor.service.request_deadline import RequestDeadline

    settings = load_settings(config)
    engine = open_store(settings.database_url.get_secret_value())
    app = create_app(settings, engine)
    for line in (f"case_monitor serves on http://{host}:{port}", *_advice(host, settings, engine)):
        error_console().print(Text(line), soft_wrap=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # Who is at the other end decides whose names count (trusted_proxy): no header may say that it is somebody else.
    try:
        uvicorn.run(
            app,
            host=host,
            port=port,
            http=RequestDeadline,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
        )
    finally:
        engine.dispose()


def _advice(host: str, settings: Settings, engine: Engine) -> Iterator[str]:
    """What whoever starts the service may not have thought of."""
    if not _is_loopback(host):
        yield "Others can reach it: put a proxy with TLS before it."
        if settings.read_token is None and settings.trusted_proxy is None:
            yield "Warning: everybody who reaches this address can read everything: set read_token, or trusted_proxy."
    if not has_evaluations(engine):
        yield f"{shown(engine.url)} holds no evaluation yet; make one with: case-monitor check NAME/VERSION"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
