"""Policies and protocols as the file or the environment spells them."""

from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator

from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol


def _with_lists(value: Any) -> Any:
    """Read lists in text: a nested variable such as CASE_MONITOR_PROTOCOL__AREAS arrives as "[0.5, 0.05]"."""
    if not isinstance(value, dict):
        return value
    return {key: _list(item) if isinstance(item, str) and item.startswith("[") else item for key, item in value.items()}


def _list(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # refused as text, with the field's path


PolicySettings = Annotated[Policy, BeforeValidator(_with_lists)]
ProtocolSettings = Annotated[Protocol, BeforeValidator(_with_lists)]
