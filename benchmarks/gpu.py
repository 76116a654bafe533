"""The saliency engine on a GPU: does it find what a CPU finds, how fast is it, and what does it wait for?

One JSON, saved after every row. Six sections, each within a time of its own, in under seven minutes in all; one that
fails or runs out of time does not lose the others, and makes the exit status 1. Nothing is installed or downloaded:
torch, torchvision, numpy, scipy and pillow are needed, pydantic-settings for the wall and for reading images, and the
other libraries are compared with where they are there. `--quick` runs all of it on any machine, with a network and
images that are tiny.
"""

import argparse
import gc
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks import gpu_loader, gpu_parity, gpu_peers, gpu_readbacks, gpu_table, gpu_throughput, gpu_wall
from benchmarks.gpu_networks import LARGE, Effort
from benchmarks.gpu_report import Report, Section
from benchmarks.timing import say

# What each is, and its seconds. The sum leaves some of seven minutes for imports.
SECTIONS: dict[str, tuple[str, float, Callable[[Section, Effort, str], None]]] = {
    "wall": (gpu_wall.ABOUT, 60, gpu_wall.wall),
    "parity": (gpu_parity.ABOUT, 45, gpu_parity.parity),
    "throughput": (gpu_throughput.ABOUT, 135, gpu_throughput.throughput),
    "readbacks": (gpu_readbacks.ABOUT, 22, gpu_readbacks.readbacks),
    "peers": (gpu_peers.ABOUT, 60, gpu_peers.peers),
    "loader": (gpu_loader.ABOUT, 85, gpu_loader.loader),
}
_PATIENCE = 20  # of a quick run, whose figures nobody wants: it may be anywhere
_PACKAGES = ("torch", "torchvision", "numpy", "grad-cam", "torchcam")


def main(arguments: list[str] | None = None) -> int:
    """Measure, save and show; 1 if anything failed."""
    options = _options(arguments)
    effort = Effort.small() if options.quick else Effort(only=tuple(options.networks))
    report = Report(options.save, {"machine": _machine(options.device), "quick": options.quick})
    ok = True
    for name in options.sections:
        about, budget, work = SECTIONS[name]
        if options.quick:
            budget *= _PATIENCE
        say(f"section {name}, at most {budget:.0f} s")
        ok &= report.run(name, about, budget, lambda section, work=work: work(section, effort, options.device))
    print(gpu_table.as_markdown(report.found))
    for section in report.found["sections"].values():
        for failure in section["failures"]:
            print(f"FAILED {failure}")
    return 0 if ok else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny network and a few images, to try this program out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cuda", "cpu"])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="parts (default: all)")
    parser.add_argument("--networks", nargs="+", choices=LARGE, default=[], help="of the large ones (default: all)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write what is found as JSON")
    options = parser.parse_args(arguments)
    if options.device == "cpu" and not options.quick:
        parser.error("there is no GPU here that torch can use; --quick runs on a CPU")
    return options


def _machine(device: str) -> dict[str, object]:
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "memory_mib": torch.cuda.get_device_properties(0).total_memory // 2**20 if device == "cuda" else None,
        "driver": _driver() if device == "cuda" else None,
        "cuda": torch.version.cuda,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in _PACKAGES},
    }


def _driver() -> str | None:
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    gc.freeze()  # races collect garbage before every measurement: what was imported is none
    sys.exit(main())
