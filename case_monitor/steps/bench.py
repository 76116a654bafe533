"""Where the inputs of an evaluation are measured, as configured."""

from collections.abc import Iterator
from contextlib import contextmanager

from case_monitor.measuring.local import Bench
from case_monitor.steps.inputs import Inputs
from case_monitor.steps.progress import ProgressReport
from case_monitor.steps.workers import open_workers


@contextmanager
def open_bench(inputs: Inputs, what: str) -> Iterator[Bench]:
    """Where and by whom the inputs are measured, as configured; `what` is being done, for people."""
    with open_workers(inputs.engine) as workers:
        yield Bench(
            device=inputs.device,
            workers=workers,
            shard_size=inputs.engine.shard_size,
            progress=ProgressReport(what),
        )
