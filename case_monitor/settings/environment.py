"""Variables `CASE_MONITOR_*` that nothing reads: a misspelled one must not be passed over in silence."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import get_args, get_origin

from pydantic import BaseModel

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.settings.top_level import ENV_PREFIX, Settings

READ_ELSEWHERE = frozenset(
    {
        "CONFIG",  # where the file is
        "LOG_FORMAT",
        "CONFIG_FILE",  # docker/compose.yaml
        "DATA",  # docker/compose.yaml
        "WEBHOOK_SECRET_FILE",  # docker/entrypoints: of all containers, though only some read it
        "TEST_DATABASE_URL",  # tests
        "TEST_BROWSER",  # tests
    }
)
# What Kubernetes tells every pod of a service that is called `case-monitor`, or begins so.
_OF_KUBERNETES = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def require_known_variables(environment: Mapping[str, str]) -> None:
    """See that every variable of ours is one that something reads; no value is repeated.

    Raises:
        ConfigError: one is not; says which it may be meant to be. What comes below a level is for the fields to say.
    """
    unknown = [name for name in environment if name.upper().startswith(ENV_PREFIX) and not _is_known(name)]
    if unknown:
        raise ConfigError(
            "; ".join(f"environment: {name}: no such setting{_meant(name)}" for name in sorted(unknown)[:3])
        )


def _is_known(name: str) -> bool:
    rest = name.upper().removeprefix(ENV_PREFIX)
    first, _, below = rest.partition("__")
    field = Settings.model_fields.get(first.lower())
    is_field = field is not None and (not below or _has_levels(field.annotation))
    return is_field or rest in READ_ELSEWHERE or _OF_KUBERNETES.fullmatch(rest) is not None


def _has_levels(annotation: object) -> bool:
    """Whether a setting has fields or entries of its own: pydantic passes over what is named below any other."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return is_dataclass(annotation) or issubclass(annotation, BaseModel)
    return get_origin(annotation) is dict or any(map(_has_levels, get_args(annotation)))


def _meant(name: str) -> str:
    near = get_close_matches(name.upper(), [ENV_PREFIX + known for known in _names()], n=2, cutoff=0.8)
    return f"; {' or '.join(near)} was expected" if near else "; docs/configuration.md has them all"


def _names() -> Iterator[str]:
    yield from (name.upper() for name in Settings.model_fields)
    yield from ("CONFIG", "LOG_FORMAT")
    for name, record in (("POLICY", Policy), ("PROTOCOL", Protocol)):
        yield from (f"{name}__{field.name.upper()}" for field in fields(record))
