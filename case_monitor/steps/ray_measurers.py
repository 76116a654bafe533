"""Where Ray measures, the process that judges drives the cluster, and reads images itself: it imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager

from case_monitor.domain.isolation import Isolation
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.judging.measurer import Measurer
from case_monitor.measuring.local import Bench
from case_monitor.measuring_process.local import LocalImages, LocalPlace
from case_monitor.measuring_process.place import Images, Way
from case_monitor.settings import RayEngine
from case_monitor.steps.ray_workers import open_ray

HERE = LocalPlace()


class RayBench:
    """Measures on a cluster, on images of this process."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def measurer(self, images: Images, files: ModelFiles, protocol: Protocol, isolation: Isolation) -> Measurer:
        """Measures a version there."""
        if not isinstance(images, LocalImages):
            msg = f"images of this process were expected, {type(images).__name__} came"
            raise TypeError(msg)
        return images.measurer_at(files, protocol, isolation, self._bench)


@contextmanager
def open_ray_bench(spec: RayEngine, way: Way) -> Iterator[RayBench]:
    """The configured cluster, ready for work.

    Raises:
        ConfigError: it needs what is not there.
        EngineError: there is none.
    """
    with open_ray(spec) as workers:
        yield RayBench(Bench(device=way.device, workers=workers, shard_size=way.shard_size, progress=way.progress))
