"""A fault, its trials, and what they came to as a table."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.faults.lab import Lab
from tests.faults.promises import ALL, Broken

HEADER = ["| promise | fault | trials | failures | seed |", "| --- | --- | --- | --- | --- |"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to a gate, and what came of it: `strike(lab, trial)` yields the promises that were broken.

    `short` and `long` are the trials in `make test` and `make test-long`.
    """

    name: str
    strike: "Callable[[Lab, Trial], Iterable[Broken]]"
    short: int = 0
    long: int = 20
    promises: tuple[str, ...] = ALL
    needs_root: bool = False


@dataclass(frozen=True)
class Trial:
    """One of the trials of a fault; the same numbers draw the same strike."""

    fault: str
    number: int
    of: int
    seed: int

    @property
    def random(self) -> Random:
        return Random(f"{self.seed} {self.fault} {self.number}")

    def one_of(self, count: int) -> int:
        """A place among `count`: trials share them out evenly, and a seed shifts and mixes them."""
        order = list(range(count))
        Random(f"{self.seed} {self.fault}").shuffle(order)
        return order[self.number * max(1, count // self.of) % count] if count >= self.of else order[self.number % count]


@dataclass
class Row:
    """What came of the trials of a fault."""

    fault: str
    promises: tuple[str, ...]
    trials: int
    seed: int
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        promises = "all" if set(self.promises) == set(ALL) else ", ".join(self.promises)
        return f"| {promises} | {self.fault} | {self.trials} | {len(self.failures)} | {self.seed} |"

    def as_json(self) -> str:
        return json.dumps(vars(self))


def tried(lab: Lab, fault: Fault, trials: int, seed: int) -> Row:
    """Strike so many times. What breaks is told with the number that repeats it."""
    row = Row(fault.name, fault.promises, trials, seed)
    for number in range(trials):
        try:
            broken = list(fault.strike(lab, Trial(fault.name, number, trials, seed)))
        except Exception as error:  # what cannot be looked at is no kept promise
            broken = [Broken("could not be tried", f"{type(error).__name__}: {error}")]
        if broken:
            row.failures.append(f"trial {number}: " + "; ".join(f"{one.promise}: {one.how}" for one in broken))
    return row


def table(rows: Iterable[Row]) -> Iterator[str]:
    """As it stands in docs/guarantees.md."""
    yield from HEADER
    yield from map(str, rows)
