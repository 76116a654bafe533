"""Reading the YAML file and the environment."""

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy_check import check_policy
from case_monitor.logs.masking import remember, remember_password, remember_query, remember_url
from case_monitor.settings.environment import require_known_variables
from case_monitor.settings.policy_and_protocol import spelled_out
from case_monitor.settings.problems import first_problems
from case_monitor.settings.read_yaml import read_fields
from case_monitor.settings.relative_places import anchored
from case_monitor.settings.splits import ArtifactSplit, FetchedSplit
from case_monitor.settings.top_level import ENV_PREFIX, Settings

DEFAULT_CONFIG = "case-monitor.yaml"
_MISSING = "create it, or name another with --config"


def load_settings(path: Path | str | None = None) -> Settings:
    """Read the configuration.

    Args:
        path: the YAML file; None takes `CASE_MONITOR_CONFIG`, else `case-monitor.yaml` here if there is one.

    Raises:
        ConfigError: the file is missing or not YAML, a field or a variable is unknown or wrong, or a policy cannot be
            judged.
    """
    require_known_variables(os.environ)
    chosen = path or os.environ.get("CASE_MONITOR_CONFIG")
    file = Path(chosen or DEFAULT_CONFIG).absolute()
    content = _with_policies_spelled_out(read_fields(file, _MISSING) if chosen or file.exists() else {})
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise ConfigError(first_problems(error, file)) from None
    except SettingsError as error:
        raise ConfigError(f"environment variables {ENV_PREFIX}*: {error}") from None
    _remember_secrets(settings)
    _check_policies(settings, file)
    _check_signing(settings, file)
    return anchored(settings, file.parent)


def _with_policies_spelled_out(content: dict[str, Any]) -> dict[str, Any]:
    """So that a field of a policy in the environment stands beside the file's word for one, not in its place."""
    changed = {"policy": spelled_out(content["policy"])} if "policy" in content else {}
    models = content.get("models")
    if isinstance(models, dict):
        changed["models"] = {
            name: _with_policies_spelled_out(model) if isinstance(model, dict) else model
            for name, model in models.items()
        }
    return content | changed


def _check_policies(settings: Settings, file: Path) -> None:
    """Each model's policy under its protocol; the general one under the general protocol where there is no model."""
    for name in settings.models or ("",):
        policy, protocol = settings.policy, settings.protocol
        if name:
            policy, protocol = settings.policy_of(name), settings.protocol_of(name)
        try:
            check_policy(policy, protocol)
        except ConfigError as error:
            of = f"models.{name}: " if name else ""
            raise ConfigError(f"{file.name}: {of}{error}") from None


def _check_signing(settings: Settings, file: Path) -> None:
    """Whoever asks for signatures says whose."""
    asking = [f"models.{name}.pickles" for name in settings.models if settings.pickles_of(name) == "signed"]
    asking += ["pickles"] if settings.pickles == "signed" else []
    if asking and settings.signing_key is None:
        raise ConfigError(f"{file.name}: signing_key: a file was expected because {asking[0]} is signed, none came")


def _remember_secrets(settings: Settings) -> None:
    """What no log of this process may show."""
    splits = [model.split.uri for model in settings.models.values() if isinstance(model.split, ArtifactSplit)]
    for url in (settings.database_url.get_secret_value(), settings.tracking_uri, settings.registry_uri or "", *splits):
        remember_password(url)
    for model in settings.models.values():
        if isinstance(model.split, FetchedSplit):
            remember_password(model.split.url)
            remember_query(model.split.url)
    for channel in settings.notify:
        remember_url(channel.get_secret_value())
    for secret in (settings.webhook_secret, settings.read_token, settings.write_token):
        if secret is not None:
            remember(secret.get_secret_value())
