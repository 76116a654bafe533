"""Races: every contender runs once per round, in a new order each time, so that ratios come from the same moments."""

import gc
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

Work = Callable[[], object]
Round = dict[str, float]
"""Contender -> seconds per image."""

# A measurement repeats its work for about this long: at 5 ms a scheduler's time slice would be seen in it.
_MIN_SECONDS = 0.25
_MAX_CALLS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Something to time.

    Attributes:
        name: unique in a race.
        measure: seconds per image, of one measurement.
        warm_up: what to run before the first round; None for work so long that its first call is like any other.
        slow: takes part in the first rounds only.
        scaled: measured on some of the channels, and scaled to all.
    """

    name: str
    measure: Callable[[], float]
    warm_up: Work | None = None
    slow: bool = False
    scaled: bool = False


def contender(
    name: str,
    work: Work,
    images: int,
    *,
    slow: bool = False,
    warm: bool | None = None,
    least: float = _MIN_SECONDS,
) -> Contender:
    """A contender that does `work` for a number of images, again until `least` seconds have passed.

    Warmed up unless it is slow, if not said otherwise.
    """
    repeat = _Repeat(work, images, least)
    warm_up = repeat.calibrate if warm or (warm is None and not slow) else None
    return Contender(name=name, measure=repeat, warm_up=warm_up, slow=slow)


def seconds(work: Work) -> float:
    """How long one call takes."""
    finish()
    start = time.perf_counter()
    work()
    finish()
    return time.perf_counter() - start


def finish() -> None:
    """Wait for what a GPU has been asked to do: a call returns before."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def race(contenders: Sequence[Contender], rounds: int, slow_rounds: int, title: str) -> list[Round]:
    """Run every contender once per round, the slow ones in the first `slow_rounds` only."""
    shuffle = random.Random(0).shuffle
    say(f"{title}: warm-up of {len(contenders)} contenders")
    for c in contenders:
        if c.warm_up is not None:
            c.warm_up()
    results: list[Round] = []
    for number in range(1, rounds + 1):
        started = [c for c in contenders if number <= slow_rounds or not c.slow]
        shuffle(started)
        took: Round = {}
        say(f"{title}: round {number}/{rounds}")
        for c in started:
            if c.slow:
                say(f"{title}: round {number}/{rounds}: {c.name}")
            gc.collect()  # what the previous contender left behind is not this one's to clear away
            took[c.name] = c.measure()
        results.append(took)
    return results


def say(line: str) -> None:
    """Progress, on stderr: stdout is for the table."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


class _Repeat:
    """Repeats short work often enough to time it."""

    def __init__(self, work: Work, images: int, least: float) -> None:
        self._work, self._images, self._least, self._calls = work, images, least, 1

    def calibrate(self) -> None:
        """The first call pays for what happens once; if it was short even so, a second tells how often to repeat."""
        first = seconds(self._work)
        once = seconds(self._work) if first < 2 * self._least else first
        self._calls = min(_MAX_CALLS, math.ceil(self._least / once))

    def __call__(self) -> float:
        finish()
        start = time.perf_counter()
        for _ in range(self._calls):
            self._work()
        finish()
        return (time.perf_counter() - start) / self._calls / self._images
