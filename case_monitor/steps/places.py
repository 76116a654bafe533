"""Where images are read and versions measured, as configured: in a process of its own, but where Ray measures."""

from case_monitor.domain.errors import ConfigError
from case_monitor.measuring_process.place import Place
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.settings import EngineSpec, RayEngine, SplitSpec


def place_for(engine: EngineSpec, spec: SplitSpec) -> Place:
    """A place for this split, started when it is first asked.

    Raises:
        ConfigError: it needs what is not installed.
    """
    if not isinstance(engine, RayEngine):
        return RemotePlace(spec)
    try:
        from case_monitor.steps.ray_measurers import HERE  # a cluster is driven from here: torch comes with it
    except ModuleNotFoundError as error:
        raise no_ray(error) from None
    return HERE


def device_at(place: Place, device: str, engine: EngineSpec) -> str:
    """Where models run: on a cluster, as its shards are given GPUs or not, whatever this machine has.

    Raises:
        ConfigError: torch does not know or does not have it.
    """
    if not isinstance(engine, RayEngine):
        return place.pick_device(device)
    expected = "cuda" if engine.num_gpus else "cpu"
    if device not in {"auto", expected}:
        msg = f"device: auto or {expected} was expected with engine.num_gpus {engine.num_gpus:g}, {device!r} came"
        raise ConfigError(msg)
    return expected


def no_ray(error: ModuleNotFoundError) -> ConfigError:
    """What is missing, and how to get it."""
    return ConfigError(f"engine: kind ray needs the extra ray of case-monitor ({error.name} is not installed)")
