"""How a person names a model version. Imports nothing heavy: a typing error is answered at once."""

from dataclasses import dataclass

from case_monitor.domain.errors import ConfigError

MAX_VERSION = 2**31 - 1  # what MLflow and PostgreSQL have room for


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`name/3` or `name@champion`, as a person types it."""

    name: str
    version: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelRef":
        """Read a reference.

        Raises:
            ConfigError: it is neither `name/<version>` nor `name@<alias>`, or no version can have this number.
        """
        name, slash, version = text.removeprefix("models:/").rpartition("/")
        if slash and name and version.isdecimal():
            return cls(name, version=_number(version))
        name, at, alias = text.removeprefix("models:/").rpartition("@")
        if at and name and alias:
            return cls(name, alias=alias)
        msg = f"model: name/<version> or name@<alias> was expected, {text!r} came"
        raise ConfigError(msg)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}" if self.version is not None else f"{self.name}@{self.alias}"


def _number(version: str) -> int:
    digits = len(str(MAX_VERSION))
    if len(version) > digits or not 1 <= int(version) <= MAX_VERSION:  # int() refuses thousands of digits by itself
        shown = version if len(version) <= digits else f"a number of {len(version)} digits"
        msg = f"model: a version from 1 to {MAX_VERSION} was expected, {shown} came"
        raise ConfigError(msg)
    return int(version)
