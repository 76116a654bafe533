"""A version with what its maps depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from case_monitor.measuring.conditions import Conditions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """A version with what its maps depend on."""

    model: nn.Module
    layer: str
    contrast: Mapping[int, Mapping[int, float]]


def apart(conditions: Conditions, version: Explained) -> Explained:
    """The same with a model of its own."""
    return replace(version, model=conditions.copied(version.model))
