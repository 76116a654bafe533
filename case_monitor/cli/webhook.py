"""`webhook register`."""

from pathlib import Path

from rich.text import Text

from case_monitor.cli.standard_error import error_console
from case_monitor.domain.errors import ConfigError
from case_monitor.registry.client import Registry
from case_monitor.settings import load_settings

WEBHOOK = "case_monitor"
_PATH = "/webhooks/mlflow"


def register_webhook(config: Path | None) -> None:
    """Create the webhook on the MLflow server, or bring it up to date."""
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
    error_console().print(Text(f"MLflow {'now tells' if created else 'still tells'} {url} of every version."))
