"""`serve` and `webhook register`."""

import ipaddress
import logging
from pathlib import Path

from rich.console import Console
from rich.text import Text

from case_monitor.core.errors import ConfigError
from case_monitor.service import create_app
from case_monitor.settings import load_settings

WEBHOOK = "case_monitor"
_PATH = "/webhooks/mlflow"


def run_serve(host: str, port: int, config: Path | None) -> None:
    """Serve until stopped."""
    import uvicorn

    app = create_app(load_settings(config))
    console = Console(stderr=True)
    console.print(Text(f"case_monitor serves on http://{host}:{port}"), soft_wrap=True)
    if not _is_loopback(host):
        console.print(Text("Others can reach it: put a proxy with TLS and a login before it.", style="yellow"))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    uvicorn.run(app, host=host, port=port, access_log=False, log_config=None, server_header=False)


def register_webhook(config: Path | None) -> None:
    """Create the webhook on the MLflow server, or bring it up to date."""
    from case_monitor.registry import Registry  # torch and MLflow, which a service does without

    settings = load_settings(config)
    if settings.webhook_secret is None:
        raise ConfigError("webhook_secret: a secret that MLflow signs with was expected, nothing came")
    uri = settings.registry_uri or settings.tracking_uri
    if not uri.startswith(("http://", "https://")):
        msg = (
            f"tracking_uri: an MLflow server (http://...), which sends webhooks, was expected, {uri.split(':')[0]} came"
        )
        raise ConfigError(msg)
    url = settings.service_url.rstrip("/") + _PATH
    registry = Registry(settings.tracking_uri, settings.registry_uri)
    created = registry.set_webhook(WEBHOOK, url, settings.webhook_secret.get_secret_value())
    Console(stderr=True).print(Text(f"MLflow {'now tells' if created else 'still tells'} {url} of every version."))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
