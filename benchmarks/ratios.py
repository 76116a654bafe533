"""What a table is made of: contenders, and ratios of their times."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.models import Subject
from benchmarks.timing import Contender, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A row of the table: a weighted sum of times over another.

    Attributes:
        title: what the row says.
        over: contender -> weight.
        under: contender -> weight.
        unit: "x", a speed-up; "F" or "F/mask", a cost; "ratio", of two costs of ours. All but "x" should be small.
        goal: what was set out to reach, if anything.
        factor: from the ratio of sums to the row's unit.
        summed: whether several measurements make up what one program would do.
    """

    title: str
    over: Mapping[str, float]
    under: Mapping[str, float]
    unit: str = "x"
    goal: float | None = None
    factor: float = 1.0
    summed: bool = False

    @property
    def needs(self) -> set[str]:
        return {*self.over, *self.under}

    def value(self, took: Round) -> float:
        """In one round."""
        return self.factor * _total(self.over, took) / _total(self.under, took)


@dataclass(slots=True)
class Section:
    """Contenders by name, and the rows that are made of them."""

    contenders: dict[str, Contender] = field(default_factory=dict)
    ratios: list[Ratio] = field(default_factory=list)

    def add(self, *contenders: Contender) -> None:
        self.contenders.update({c.name: c for c in contenders})

    def join(self, other: "Section") -> None:
        self.contenders |= other.contenders
        self.ratios += other.ratios

    def cost(self, title: str, name: str, goal: float | None = None) -> None:
        """A row: what a contender costs in forward passes."""
        self.ratios.append(Ratio(title=title, over={name: 1}, under={"F": 1}, unit="F", goal=goal))

    def speedup(self, title: str, over: str, under: str, goal: float | None = None) -> None:
        """A row: how much faster one contender is than another."""
        self.ratios.append(Ratio(title=title, over={over: 1}, under={under: 1}, goal=goal))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much is timed.

    Attributes:
        part: channels of the channelwise methods of others.
        compiled: whether to compile for Score-CAM, which takes half a minute per network.
    """

    part: int
    compiled: bool

    def channels(self, subject: Subject) -> int:
        """How many channels of a network are timed."""
        return subject.channels if subject.architecture.small else min(self.part, subject.channels)


def _total(weights: Mapping[str, float], took: Round) -> float:
    return sum(weight * took[name] for name, weight in weights.items())
