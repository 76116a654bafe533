"""Peak memory of an explanation, each in a process of its own: a peak cannot be reset within one.

`python -m benchmarks.memory BATCH CONTRAST_K METHOD...` is such a process; without methods it is the one to compare
with, which loads the network and runs it.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.models import load
from benchmarks.timing import say
from case_monitor.saliency import saliency_maps

_MODEL = "resnet18"
_GRADIENT = ("case", "gradcam", "gradcam++", "layercam")
_STATUS = Path("/proc/self/status")


def configurations(*, quick: bool) -> list[tuple[int, int, tuple[str, ...]]]:
    """(batch, contrast_k, methods): contrast_k concerns CASE only, and Score-CAM takes its time."""
    batches = (8, 32) if quick else (8, 32, 64)
    sweep: list[tuple[int, int, tuple[str, ...]]] = [(batch, k, _GRADIENT) for batch in batches for k in (1, 50)]
    sweep += [(batch, 50, (*_GRADIENT, "ablationcam")) for batch in batches]
    return sweep + [(batch, 50, (*_GRADIENT, "ablationcam", "scorecam")) for batch in (() if quick else (8,))]


def table(*, quick: bool) -> str:
    """Markdown: MiB above a process that has run the network on a batch of 8."""
    found = configurations(quick=quick)
    baseline = _child(8, 0, ())
    lines = [
        f"| {_MODEL}: batch | contrast_k | methods | MiB above a forward pass at batch 8 |",
        "| --- | --- | --- | --- |",
    ]
    batches = dict.fromkeys(batch for batch, _, _ in found)
    lines += [f"| {batch} | | only a forward pass | {_child(batch, 0, ()) - baseline:.0f} |" for batch in batches]
    for i, (batch, k, methods) in enumerate(found, 1):
        say(f"memory {i}/{len(found)}: batch {batch}, contrast_k {k}, {', '.join(methods)}")
        lines.append(f"| {batch} | {k} | {', '.join(methods)} | {_child(batch, k, methods) - baseline:.0f} |")
    return "\n".join(lines)


def _child(batch: int, contrast_k: int, methods: Sequence[str]) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", str(batch), str(contrast_k), *methods]
    root = Path(__file__).absolute().parents[1]
    return float(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)


def peak_mib() -> float:
    """Peak resident memory of this process.

    On Linux a child's ru_maxrss starts at its parent's, which may have timed large networks; VmHWM starts afresh.
    """
    if _STATUS.exists():
        lines = _STATUS.read_text().splitlines()
        for line in lines:
            if line.startswith("VmHWM"):
                return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _explain(batch: int, contrast_k: int, methods: Sequence[str]) -> None:
    subject = load(_MODEL)
    repeats = -(-batch // len(subject.images))
    images, targets = subject.images.repeat(repeats, 1, 1, 1)[:batch], subject.targets.repeat(repeats, 1)[:batch]
    if methods:
        layer = subject.architecture.layer
        saliency_maps(subject.model, images, targets, target_layer=layer, methods=methods, contrast_k=contrast_k)
    else:
        with torch.no_grad():
            subject.model(images)


if __name__ == "__main__":
    _explain(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    print(peak_mib())
