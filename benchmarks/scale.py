"""Time and peak memory of an evaluation against the size of the split and the number of shards.

`python -m benchmarks.scale` runs every row in a process of its own, as a peak cannot be reset within one, and prints
Markdown. Images are made from their index when they are asked for, so that no split is in memory. What is left is
what an evaluation itself keeps.
"""

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.memory import peak_mib
from benchmarks.timing import say
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.split import Split
from case_monitor.measuring.local import Bench
from case_monitor.measuring.workers.threads import Threads
from case_monitor.measuring.workers.work import Workers
from tests.support.trial import LoadedVersion, evaluate

CLASSES, SIDE = 1000, 16
PROTOCOL = Protocol(methods=("case", "gradcam"), target_layer="features", sample_size=500, batch_size=64, areas=(0.05,))
SIZES, SHARDS = (1_000, 10_000, 100_000), (1, 4, 16)


class IndexedImages:
    """Image i is a pattern of class i mod 1000 and noise, both drawn from a generator of their own."""

    excluded = None

    def __init__(self, size: int) -> None:
        self.sample_ids = tuple(f"{i:06d}" for i in range(size))
        self.target = np.arange(size) % CLASSES

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        patterns = class_patterns()
        for start in range(0, len(indices), batch_size):
            part = indices[start : start + batch_size]
            yield torch.stack([patterns[i % CLASSES] + 2.0 * _noise(i) for i in part])

    def to_display(self, images: Tensor) -> np.ndarray:
        grey = images.mean(1, keepdim=True).add(1).mul(60).clamp(0, 255).byte()
        return grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


class NearestPattern(nn.Module):
    """A convolution, and a linear head that finds the class whose pattern has the nearest features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(16 * 4 * 4, CLASSES)
        with torch.no_grad():
            found = self.pool(self.features(class_patterns())).flatten(1)
            self.head.weight.copy_(10 * found)
            self.head.bias.copy_(-5 * (found**2).sum(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.features(images)).flatten(1))


def class_patterns() -> Tensor:
    """(1000, 3, 16, 16)"""
    return torch.randn(CLASSES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(-1))


def _noise(index: int) -> Tensor:
    return torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(index))


def row(size: int, shards: int, kind: str, workers: int) -> str:
    """Evaluate, and tell: a digest of the figures, accuracy, seconds, peaks."""
    shard_size = -(-size // shards)
    if kind == "threads":
        return _measured(size, shard_size, Threads(workers))
    from prefect import flow

    from case_monitor.settings import RayEngine
    from case_monitor.steps.ray_workers import open_ray

    @flow(name="scale")
    def on_ray() -> str:
        with open_ray(RayEngine(kind="ray", workers=workers)) as engine:
            return _measured(size, shard_size, engine)

    return on_ray()


def _measured(size: int, shard_size: int, engine: Workers) -> str:
    names = tuple(f"class {u}" for u in range(CLASSES))
    started = time.perf_counter()
    found = evaluate(
        LoadedVersion(
            version=ModelVersion(name="m", version=1, run_id=None, digest="0" * 64),
            model=NearestPattern(),
            split=Split(name="generated", digest="0" * 64, class_names=names, size=size),
            source=IndexedImages(size),
        ),
        None,
        policy=Policy(),
        protocol=PROTOCOL,
        bench=Bench(workers=engine, shard_size=shard_size),
    )
    seconds = time.perf_counter() - started
    evaluation = found.evaluation
    figures = hashlib.sha256(repr(evaluation.summaries).encode() + evaluation.preds.confidence.tobytes()).hexdigest()
    return f"{figures[:12]} {evaluation.summary('accuracy').value:.3f} {seconds:.1f} {peak_mib():.0f}"


def table(rows: Sequence[tuple[int, int, str, int]]) -> str:
    lines = [
        "| images | shards | engine | seconds | peak MiB | same figures |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    figures: dict[int, str] = {}
    for size, shards, kind, workers in rows:
        say(f"scale: {size} images, {shards} shards, {kind} with {workers}")
        digest, _, seconds, peak = _child(size, shards, kind, workers)
        same = "yes" if figures.setdefault(size, digest) == digest else "NO"
        engine = "in turn" if (kind, workers) == ("threads", 1) else f"{workers} {kind}"
        lines.append(f"| {size:,} | {shards} | {engine} | {seconds} | {peak} | {same} |")
    return "\n".join(lines)


def _child(size: int, shards: int, kind: str, workers: int) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.scale", "--row", str(size), str(shards), kind, str(workers)]
    ran = subprocess.run(
        command, cwd=Path(__file__).absolute().parents[1], stdout=subprocess.PIPE, text=True, check=True
    )
    return ran.stdout.splitlines()[-1].split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", nargs=4, metavar=("IMAGES", "SHARDS", "ENGINE", "WORKERS"))
    parser.add_argument("--quick", action="store_true", help="up to 10,000 images")
    parser.add_argument("--ray", action="store_true", help="two Ray workers too")
    given = parser.parse_args()
    if given.row:
        size, shards, kind, workers = given.row
        print(row(int(size), int(shards), kind, int(workers)))
        return
    sizes = SIZES[:2] if given.quick else SIZES
    rows = [(size, shards, "threads", 1) for size in sizes for shards in SHARDS]
    rows += [(size, 16, "threads", 2) for size in sizes]
    rows += [(size, 16, "ray", 2) for size in sizes] if given.ray else []
    print(table(rows))


if __name__ == "__main__":
    main()
