"""A version with what its maps depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from case_monitor.domain.protocol import AUTO
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.measured_model import At, MeasuredModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """A version with what its maps depend on."""

    model: MeasuredModel
    layer: str
    contrast: Mapping[int, Mapping[int, float]] | None
    outputs: str = AUTO

    def at(self, batch_size: int) -> At:
        """The same without the model, for passes over so many images."""
        return At(layer=self.layer, contrast=self.contrast, batch_size=batch_size, outputs=self.outputs)


def apart(conditions: Conditions, version: Explained) -> Explained:
    """The same with a model of its own."""
    return replace(version, model=version.model.apart(conditions.first_images()))
