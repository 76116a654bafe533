"""One bad, or only strange, input, and what should come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from case_monitor.settings import Preprocessing, SplitSpec

RGB = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Case:
    """An input.

    Attributes:
        what: in words.
        build: makes it in an empty folder, and says where the split is.
        says: what the error, or a note, says; None: it is read like any other image, without a note.
        images: how many images come, where it is no error.
        preprocessing: of the model.
        class_names: of the model; None takes the data set's.
    """

    what: str
    build: Callable[[Path], SplitSpec]
    says: str | None
    images: int | None = None
    preprocessing: Preprocessing = RGB
    class_names: tuple[str, ...] | None = ("a", "b")
