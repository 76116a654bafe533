"""The inputs of an evaluation as subjects to be measured, and where that is done, as configured.

Ray is an extra, and imported where the configuration asks for it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType

from case_monitor.domain.scores import SampleScores
from case_monitor.judging.measurer import Measurer, Subject
from case_monitor.measuring_process.place import Way
from case_monitor.settings import RayEngine
from case_monitor.steps.inputs import Inputs, Prepared
from case_monitor.steps.places import no_ray
from case_monitor.steps.progress import ProgressReport

NOTHING_KNOWN: Mapping[str, SampleScores] = MappingProxyType({})
MeasurerOf = Callable[[Prepared], Measurer]


class Bench:
    """Makes subjects of inputs; what their measurers hold is given up with it."""

    def __init__(self, measurer_of: MeasurerOf, held: ExitStack) -> None:
        self._measurer_of, self._held = measurer_of, held

    def subject(self, prepared: Prepared, scores: Mapping[str, SampleScores] = NOTHING_KNOWN) -> Subject:
        """A version to be measured; `scores` are what is stored of it."""
        measurer = self._measurer_of(prepared)
        self._held.callback(measurer.end)
        return Subject(
            version=prepared.version,
            split=prepared.split,
            sample_ids=prepared.images.sample_ids,
            target=prepared.images.target,
            measurer=measurer,
            excluded=prepared.images.excluded,
            declared_layer=prepared.registered.target_layer,
            scores=scores,
        )


@contextmanager
def open_bench(inputs: Inputs, what: str) -> Iterator[Bench]:
    """Where and by whom the inputs are measured, as configured; `what` is being done, for people."""
    with ExitStack() as held:
        yield Bench(_measurers(inputs, ProgressReport(what), held), held)


def _measurers(inputs: Inputs, progress: ProgressReport, held: ExitStack) -> MeasurerOf:
    engine, protocol, isolation = inputs.engine, inputs.protocol, inputs.isolation
    workers = 1 if isinstance(engine, RayEngine) else engine.workers
    way = Way(device=inputs.device, workers=workers, shard_size=engine.shard_size, progress=progress)
    if not isinstance(engine, RayEngine):
        return lambda version: version.images.measurer(version.registered.files, protocol, isolation, way)
    try:
        from case_monitor.steps.ray_measurers import open_ray_bench
    except ModuleNotFoundError as error:
        raise no_ray(error) from None
    ray = held.enter_context(open_ray_bench(engine, way))
    return lambda version: ray.measurer(version.images, version.registered.files, protocol, isolation)
