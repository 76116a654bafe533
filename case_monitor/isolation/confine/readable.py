"""What torch has to read while it loads and runs a model, and nothing that anybody keeps a secret in."""

import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_LIBRARY_FOLDERS = ("lib", "lib64", "lib32")
_SITE_PACKAGES = ("site-packages", "dist-packages")
_PACKAGES = ("case_monitor", "torch", "torchvision", "numpy")
_SYSTEM = """
/lib /lib64 /usr/lib /usr/lib32 /usr/lib64 /usr/local/lib /usr/local/lib64 /etc/ld.so.cache
/etc/localtime /usr/share/zoneinfo /usr/share/locale
/dev/null /dev/zero /dev/urandom /dev/random
/proc/cpuinfo /proc/meminfo /sys/devices/system/cpu /sys/devices/system/node
"""
# As far as NVIDIA's libraries are known to look; read only where there is a device.
_OF_CUDA = """
/dev/nvidiactl /dev/nvidia-uvm /dev/nvidia-uvm-tools /dev/nvidia-modeset /dev/dxg
/proc/driver/nvidia /proc/devices /proc/modules /proc/sys/vm/mmap_min_addr /proc/sys/vm/overcommit_memory
/proc/self/maps /proc/self/status /proc/self/stat /proc/self/cmdline
/sys/bus/pci/devices /sys/devices/system/memory /sys/module/nvidia /sys/module/nvidia_uvm
/usr/local/cuda /usr/local/nvidia /usr/lib/wsl /usr/share/nvidia /etc/nvidia
"""
_NVIDIA_DEVICES = ("dev/nvidia[0-9]*", "dev/nvidia-caps/*", "sys/devices/pci*")


def default_readable() -> tuple[Path, ...]:
    """What is there of all that torch reads, on a CPU and with CUDA. Ask in the process that will be confined.

    Of `sys.path` only folders of installed packages count, and of Python's own prefix only its libraries: both may lie
    in somebody's project. What else is installed from there in editable form, but this package, torch and numpy, is out
    of reach unless it was imported before.
    """
    wanted = [*map(Path, _SYSTEM.split()), *_of_python(), *_of_packages(), *_of_graphics_cards()]
    return tuple(dict.fromkeys(path for path in wanted if path.exists()))


def has_graphics_card() -> bool:
    """Whether CUDA may find a device here."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def _of_python() -> Iterator[Path]:
    for prefix in dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)):
        yield from (Path(prefix, folder) for folder in (*_LIBRARY_FOLDERS, "pyvenv.cfg"))
    yield from (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
    yield from (Path(entry) for entry in sys.path if Path(entry).name in _SITE_PACKAGES)


def _of_packages() -> Iterator[Path]:
    for name in _PACKAGES:
        spec = find_spec(name)
        yield from map(Path, (spec.submodule_search_locations if spec else None) or ())


def _of_graphics_cards() -> Iterator[Path]:
    cards = [card for pattern in _NVIDIA_DEVICES for card in Path("/").glob(pattern)]
    if has_graphics_card():
        yield from (*cards, *map(Path, _OF_CUDA.split()))
