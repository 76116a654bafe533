"""Where shards are worked on: in this process, one after the other or in threads. Ray is in `steps`."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TypeVar

import torch

from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report, ShardWork

T = TypeVar("T")

_SECONDS_BETWEEN_REPORTS = 0.5
_AHEAD = 2  # shards per worker that are begun before they are asked for: enough to keep it busy, and few in memory


class Threads:
    """This process: one after the other, as one stream of images, or in several threads.

    A model that is being explained carries hooks and other weights than its own, so that each thread works on a copy.
    torch's own threads are divided among them.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def map(self, work: ShardWork[T], shards: Sequence[Shard], report: Report) -> Generator[T]:
        workers = min(self._workers, len(shards))
        if workers <= 1:
            yield from work.run(shards, report)
            return
        free: SimpleQueue[ShardWork[T]] = SimpleQueue()
        for own in (work, *(work.apart() for _ in range(workers - 1))):
            free.put(own)
        done = [0] * len(shards)

        def do(place: int) -> T:
            own = free.get()

            def note(images: int) -> None:
                done[place] = images

            try:
                [result] = own.run(shards[place : place + 1], note)
            finally:
                free.put(own)
            return result

        before = torch.get_num_threads()
        share = max(1, before // workers)
        try:
            with ThreadPoolExecutor(workers, initializer=_use_threads, initargs=(share,)) as pool:
                yield from in_order(
                    len(shards), _AHEAD * workers, lambda i: pool.submit(do, i), lambda: report(sum(done))
                )
        finally:
            _use_threads(before)


def in_order(
    total: int, ahead: int, start: Callable[[int], "Future[T]"], tell: Callable[[], None] = lambda: None
) -> Generator[T]:
    """The results of `start(0)`, `start(1)`, ..., in that order, with up to `ahead` of them begun and not yet taken.

    The first error ends it; what has not begun by then never does. `tell` is called now and then, while waiting too.
    """
    begun: deque[Future[T]] = deque()
    try:
        for place in range(total + ahead):
            if place < total:
                begun.append(start(place))
            if place >= ahead - 1 and begun:
                while not wait([begun[0]], _SECONDS_BETWEEN_REPORTS).done:
                    tell()
                result = begun.popleft().result()
                tell()
                yield result
    finally:
        for future in begun:
            future.cancel()


def _use_threads(count: int) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
