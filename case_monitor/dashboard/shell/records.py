"""What pages are asked for with, and what they show: dataclasses, whichever they are."""

from dataclasses import Field
from typing import Any, ClassVar, Protocol


class Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
