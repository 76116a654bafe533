"""Work on the shards of a split, and who does it."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol, Self, TypeVar

from case_monitor.measuring.workers.shards import Shard

Report = Callable[[int], None]
"""Called with the number of images done so far."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ShardWork(Protocol[T_co]):
    """What to do with every shard. It can be pickled, and changes nothing that another shard would notice."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def parts(self) -> tuple[object, ...]:
        """What is large in it, and the same in several works: models and images."""
        ...

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[T_co]:
        """A result for each of these consecutive shards, in order; their images are read as one stream."""
        ...

    def apart(self) -> Self:
        """The same with models of its own, for another thread."""
        ...


class Workers(Protocol):
    """They work on shards."""

    def map(self, work: ShardWork[T], shards: Sequence[Shard], report: Report) -> Generator[T]:
        """The results in the order of the shards, each once; few of them are held at any time.

        `report` is called in the caller's thread.
        """
        ...
