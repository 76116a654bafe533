"""Policies and protocols as the file or the environment spells them."""

from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import EnvSettingsSource

from case_monitor.domain.policy import RULES_BY_WORD, Policy
from case_monitor.domain.protocol import Protocol


def _with_lists(value: object) -> object:
    """Read lists and mappings in text: a nested variable such as CASE_MONITOR_PROTOCOL__AREAS is "[0.5, 0.05]"."""
    if not isinstance(value, dict):
        return value
    return {
        key: _list(item) if isinstance(item, str) and item.startswith(("[", "{")) else item
        for key, item in value.items()
    }


def _list(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # refused as text, with the field's path


def spelled_out(policy: object) -> object:
    """A word for a policy, such as `contrast`, as the fields that it stands for, beside which others can be set."""
    return {"thresholds": policy} if isinstance(policy, str) and policy in RULES_BY_WORD else policy


def _with_rules(value: object) -> object:
    """Put rules where a word stands for them, and refuse other words."""
    fields = _with_lists(spelled_out(value))
    word = fields.get("thresholds") if isinstance(fields, dict) else fields
    if not isinstance(word, str):
        return fields
    if isinstance(fields, dict) and word in RULES_BY_WORD:
        return fields | {"thresholds": RULES_BY_WORD[word]}
    words = " or ".join(sorted(RULES_BY_WORD))
    expected = f"{'rules' if isinstance(fields, dict) else 'fields'}, or the word {words}, were expected"
    came = f", {word!r} came" if isinstance(fields, dict) else ""  # what is no mapping is repeated anyway
    raise PydanticCustomError("unknown_word", "{expected}{came}", {"expected": expected, "came": came})


class EnvironmentWithWords(EnvSettingsSource):
    """The environment, where CASE_MONITOR_POLICY may be JSON or a word that the file may have."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """JSON, or the fields that a policy's word stands for, so that other variables can be set beside it."""
        if field_name == "policy" and not value.lstrip().startswith("{"):
            return spelled_out(value)
        return super().decode_complex_value(field_name, field, value)


PolicySettings = Annotated[Policy, BeforeValidator(_with_rules)]
ProtocolSettings = Annotated[Protocol, BeforeValidator(_with_lists)]
