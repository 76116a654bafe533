"""How registered models, which are programs of whoever may register one, are shut in."""

from dataclasses import dataclass
from pathlib import Path

CONFINED = "confined"
"""How far a model is shut in that reaches no file, network or process but its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one process may take; None is without a limit.

    The defaults leave room for a ResNet on a laptop and for CUDA, and are a last resort: who waits for a model stops it
    by the clock.

    Attributes:
        memory_bytes: of private memory, with what came from the process that it was forked from. The reserved addresses
            that torch and CUDA have plenty of do not count, nor does a GPU's memory.
        cpu_s: processor time of all threads together, in seconds. The process is then ended by SIGXCPU, or by SIGKILL
            five seconds later.
        file_bytes: of each file that it writes.
    """

    memory_bytes: int | None = 16 * 2**30
    cpu_s: int | None = 72 * 3600
    file_bytes: int | None = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How models are shut in.

    Attributes:
        required: refuse to run a model that is not confined.
        limits: of what it may take.
        silence_s: how long it may say nothing; an answer comes as a whole within that time.
        total_s: how long its process may live: who says something now and then is not silent.
        readable: files and folders that it may read beside its own and the libraries.
    """

    required: bool = False
    limits: Limits = Limits()
    silence_s: float = 1800.0
    total_s: float = 24 * 3600.0
    readable: tuple[Path, ...] = ()
