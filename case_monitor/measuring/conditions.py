"""Under which conditions a version is measured."""

from dataclasses import dataclass

from torch import Tensor

from case_monitor.domain.diagnostics import LOCALISATION
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.protocol import Protocol
from case_monitor.measuring.image_source import ImageSource


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """The images, how to measure, and where."""

    source: ImageSource
    num_classes: int
    protocol: Protocol
    device: str

    def __post_init__(self) -> None:
        if LOCALISATION in self.protocol.diagnostics and self.source.objects(()) is None:
            msg = f"protocol.diagnostics: {LOCALISATION} asks where objects are: split.objects was expected, none came"
            raise ConfigError(msg)

    @property
    def size(self) -> int:
        """Images."""
        return len(self.source.sample_ids)

    def first_images(self) -> Tensor:
        """One or two of them, to try a model on."""
        return next(self.source.batches(range(min(2, self.size)), 2))
