"""Where shards are worked on, as configured."""

from collections.abc import Iterator
from contextlib import contextmanager

from case_monitor.domain.errors import ConfigError
from case_monitor.measuring.device import pick_device
from case_monitor.measuring.workers.threads import Threads
from case_monitor.measuring.workers.work import Workers
from case_monitor.settings import EngineSpec, RayEngine


@contextmanager
def open_workers(spec: EngineSpec) -> Iterator[Workers]:
    """The configured workers, ready for work.

    Raises:
        ConfigError: it needs what is not installed, or not there.
    """
    if not isinstance(spec, RayEngine):
        yield Threads(spec.workers)
        return
    try:
        from case_monitor.steps.ray_workers import open_ray
    except ModuleNotFoundError as error:
        msg = f"engine: kind ray needs the extra ray of case-monitor ({error.name} is not installed)"
        raise ConfigError(msg) from None
    with open_ray(spec) as workers:
        yield workers


def device_for(device: str, spec: EngineSpec) -> str:
    """Where models run: on a cluster, as its shards are given GPUs or not, whatever this machine has.

    Raises:
        ConfigError: torch does not know or does not have it.
    """
    if not isinstance(spec, RayEngine):
        return pick_device(device)
    expected = "cuda" if spec.num_gpus else "cpu"
    if device not in {"auto", expected}:
        msg = f"device: auto or {expected} was expected with engine.num_gpus {spec.num_gpus:g}, {device!r} came"
        raise ConfigError(msg)
    return expected
