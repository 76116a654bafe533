"""What is wrong with which field, in one line and without a secret."""

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings.top_level import ENV_PREFIX

_UNKNOWN_FIELD = {"extra_forbidden", "unexpected_keyword_argument"}  # pydantic's words for it
_SECRET = ("url", "uri", "notify", "secret", "token")  # in the names of fields that hold one


def first_problems(error: ValidationError, file: Path) -> str:
    """The first three problems, each with the path of its field and where it was set."""
    # A misspelled field first: the missing one that it was meant to be follows from it.
    items = sorted(error.errors(), key=lambda item: item["type"] not in _UNKNOWN_FIELD)
    return "; ".join(_problem(item, file) for item in items[:3])


def _problem(item: Any, file: Path) -> str:
    parts = list(map(str, item["loc"]))
    if len(parts) > 3 and parts[2] == "split":
        del parts[3]  # the kind, which pydantic puts into the path and the file does not
    path = ".".join(parts) or "configuration"
    variable = ENV_PREFIX + "__".join(parts).upper()
    where = f"{variable if variable in os.environ else file.name}: {path}"
    if item["type"] in _UNKNOWN_FIELD:
        return f"{where}: no such field"
    if item["type"] == "value_error":  # from our own checks, which say `field: what was expected and what came`
        return f"{where}.{item['ctx']['error']}"
    # What came may be a secret (a URL with a password): show short plain values only, and never that field's.
    came = item["input"]
    if not isinstance(came, int | float | str) or any(word in path for word in _SECRET):
        return f"{where}: {item['msg']}"
    return f"{where}: {item['msg']}, {short_message(repr(came))[:72]} came"
