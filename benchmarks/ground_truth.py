"""Do saliency maps find what a network was made to use? On planted images, where that is known.

Networks are trained on images in which every class has one glyph of its own and shares two with its group. Of the maps
for correctly classified images: how much of the top 5% lies on the unique and on the shared glyphs, in multiples of
chance; and, the sanity check of Adebayo et al. (2018), how much is left of the maps when weights are drawn anew.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.ground_truth_figure import picture
from benchmarks.ground_truth_networks import (
    CASCADE,
    Effort,
    Subject,
    controls,
    drawn_anew,
    explain,
    explained_images,
    trained,
)
from benchmarks.ground_truth_scores import regions
from benchmarks.ground_truth_tables import MEASURES, USAGE_HEADER, Found, Table, localisation, randomisation, usage
from benchmarks.planted import Planted
from benchmarks.planted_models import NETWORKS, STRIDE
from benchmarks.timing import say

Measured = tuple[Subject, dict[str, Tensor], dict[str, dict[str, Tensor]]]
"""A trained network, its maps, and step of the cascade -> its maps with weights drawn anew."""

_QUICK = Effort(seeds=2, train_images=12000, epochs=2, validation_images=1500, images=100)

_EPILOG = """\
"x chance" is the share of the marked pixels over the region's share of the image, per image; [95% interval over
images] (range over seeds). "near" is within the layer's stride of the one part and not of the other too. The random
map knows nothing; *knows the glyph* is the unique mask at the layer's resolution. "no map": empty or constant ones,
left out and counted. "another seed": likeness to the maps of another trained network. "differs": at every step of the
cascade the interval lies below 0.5, and the whole interval of the difference from "another seed" below 0.
"""


def main(arguments: list[str] | None = None) -> int:
    """Train, explain, measure, print."""
    options = _options(arguments)
    effort = _QUICK if options.quick else Effort()
    effort = replace(effort, seeds=options.seeds or effort.seeds)
    data = explained_images(effort)
    measured = _measured([(network, seed) for network in NETWORKS for seed in range(effort.seeds)], effort)
    everything = [_found(measured[i : i + effort.seeds]) for i in range(0, len(measured), effort.seeds)]
    for table in _tables(everything, data):
        print(table.as_markdown() if options.markdown else table.as_text(), end="\n\n")
    if options.figure:
        picture(everything, data).savefig(options.figure, dpi=110)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ground_truth", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "--quick", action="store_true", help="two seeds, less training, fewer images; a third of the time"
    )
    parser.add_argument("--seeds", type=int, help="trained networks of each architecture")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/ground-truth.md")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw a few images with their maps")
    return parser.parse_args(arguments)


def _measured(jobs: Sequence[tuple[str, int]], effort: Effort) -> list[Measured]:
    """Train and explain every network and seed, in as many processes as there are cores."""
    workers = min(len(jobs), os.cpu_count() or 1)
    networks, seeds = zip(*jobs, strict=True)
    if workers == 1:
        return list(map(_measure, networks, seeds, [effort] * len(jobs)))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_measure, networks, seeds, [effort] * len(jobs)))


def _measure(network: str, seed: int, effort: Effort) -> Measured:
    data = explained_images(effort)
    with _one_thread():
        say(f"{network}: training seed {seed}")
        subject = trained(network, seed, effort)
        say(f"{network}: seed {seed} reaches {subject.accuracy:.1%}; explaining {effort.images} images")
        maps = explain(subject, subject.model, data) | controls(data, seed)
        anew = {}
        for step, modules in CASCADE.items():
            say(f"{network}: explaining seed {seed} with new weights in: {step}")
            anew[step] = explain(subject, drawn_anew(subject, modules, data.images), data)
    return subject, maps, anew


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads of so small a network mostly wait for each other, and their number would change the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _found(measured: Sequence[Measured]) -> Found:
    subjects, maps, anew = zip(*measured, strict=True)
    return Found(subjects=subjects, trained=maps, anew={step: [of[step] for of in anew] for step in CASCADE})


def _tables(everything: Sequence[Found], data: Planted) -> list[Table]:
    masks = regions(data, STRIDE)
    used = Table(
        title="what the networks use", header=USAGE_HEADER, rows=[usage(found.subjects) for found in everything]
    )
    tables = [used]
    for found in everything:
        tables.append(localisation(found, masks, "unique", "shared"))
        tables.append(localisation(found, masks, "near unique", "near shared"))
    for found in everything:
        tables += [randomisation(found, measure) for measure in MEASURES]
    return tables


if __name__ == "__main__":
    sys.exit(main())
