"""The inputs of an evaluation as they are measured, and where, as configured."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from case_monitor.domain.isolation import Isolation
from case_monitor.domain.scores import SampleScores
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring.local import Bench
from case_monitor.steps.inputs import Inputs, Prepared
from case_monitor.steps.progress import ProgressReport
from case_monitor.steps.trial import LoadedVersion
from case_monitor.steps.workers import open_workers

NOTHING_KNOWN: Mapping[str, SampleScores] = MappingProxyType({})


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


def loaded(
    prepared: Prepared, isolation: Isolation, scores: Mapping[str, SampleScores] = NOTHING_KNOWN
) -> LoadedVersion:
    """As it is measured, in a process of its own; `scores` are what is stored of it."""
    files = prepared.registered.files
    return LoadedVersion(
        version=prepared.version,
        model=lambda protocol, device: ConfinedModel(files, protocol, device, isolation),
        split=prepared.split,
        source=prepared.source,
        declared_layer=prepared.registered.target_layer,
        scores=scores,
    )
