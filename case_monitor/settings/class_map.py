"""Class maps: as which class each of a model's counts."""

from collections.abc import Mapping
from pathlib import Path

from case_monitor.domain.errors import ConfigError
from case_monitor.settings.read_yaml import read_fields


def read_class_map(given: Mapping[str, str] | Path | None) -> Mapping[str, str] | None:
    """The class map that stands in the configuration, or in a file of its own.

    Raises:
        ConfigError: the file is not there, or holds something else.
    """
    if not isinstance(given, Path):
        return given
    content = read_fields(given, "create it, or write the class map into the configuration")
    wrong = next((name for name, value in content.items() if not isinstance(value, str)), None)
    if wrong is not None:
        came = type(content[wrong]).__name__
        raise ConfigError(f"{given.name}: the name of a class was expected at {wrong!r}, {came} came; put it in quotes")
    return content
