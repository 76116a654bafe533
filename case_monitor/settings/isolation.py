"""How registered models are shut in."""

import math
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from case_monitor.domain.isolation import Isolation, Limits


class IsolationSettings(BaseModel):
    """Each model runs in a process of its own; see [guarantees.md](guarantees.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    level: Literal["auto", "required"] = "auto"
    """`auto` confines models as far as the machine can, and says how far; `required` refuses to run one that is not
    confined: without files but its own and the libraries, without a network, without other processes."""
    memory_gib: float = Field(16, gt=0)
    """Private memory of a model's process."""
    hours: float = Field(24, gt=0)
    """How long a model's process may live; of processor time, it may have as much on every core."""
    silence_minutes: float = Field(30, gt=0)
    """How long it may say nothing before it is ended: a batch takes no longer."""
    readable: tuple[Path, ...] = ()
    """Folders that models may read beside their own files and the installed packages: code of yours that was not logged
    with them. Nothing secret may lie there."""

    @property
    def record(self) -> Isolation:
        """The same in the units of those who do it."""
        seconds = 3600 * self.hours
        return Isolation(
            required=self.level == "required",
            limits=Limits(memory_bytes=int(self.memory_gib * 2**30), cpu_s=math.ceil(seconds * (os.cpu_count() or 1))),
            silence_s=60 * self.silence_minutes,
            total_s=seconds,
            readable=self.readable,
        )
