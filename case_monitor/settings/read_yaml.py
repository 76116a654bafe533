"""YAML files of a project's own: a field that comes twice is an error, and no line is quoted."""

from pathlib import Path
from typing import Any

import yaml

from case_monitor.domain.errors import ConfigError


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a field that comes twice, of which YAML's loader would silently drop the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem="a field comes twice", problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return node


def read_fields(file: Path, remedy: str) -> dict[str, Any]:
    """What stands there by name.

    Args:
        file: where.
        remedy: where it is not there.

    Raises:
        ConfigError: it is not there, or no mapping from names.
    """
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - a safe loader
    except OSError as error:
        raise ConfigError(f"configuration file {file}: {error.strerror}; {remedy}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file.name}: a text in UTF-8 was expected, other bytes came") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file.name}: not YAML: {_yaml_problem(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        msg = f"{file.name}: fields (`name: value`) were expected, {type(content).__name__} came"
        raise ConfigError(f"{msg}; put names like 1, yes and no in quotes" if isinstance(content, dict) else msg)
    return content


def _yaml_problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, without quoting the line: it may hold a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return type(error).__name__
