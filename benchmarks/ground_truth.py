"""Do saliency maps find what a network was made to use? On planted images, where that is known.

Networks are trained on images in which every class has one glyph of its own and shares two with its group. Of the maps
for correctly classified images: how much of the top 5% lies on the unique and on the shared glyphs, in multiples of
chance; and, the sanity check of Adebayo et al. (2018), how much is left of the maps when weights are drawn anew.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
    everything = [_found(network, effort, data) for network in NETWORKS]
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


def _found(network: str, effort: Effort, data: Planted) -> Found:
    subjects = []
    for seed in range(effort.seeds):
        say(f"{network}: training seed {seed} ({seed + 1} of {effort.seeds})")
        subjects.append(trained(network, seed, effort))
        say(f"{network}: seed {seed} reaches {subjects[-1].accuracy:.1%}")
    maps = [_maps(subject, data) for subject in subjects]
    anew = {step: [_maps(subject, data, step) for subject in subjects] for step in CASCADE}
    return Found(subjects=subjects, trained=maps, anew=anew)


def _maps(subject: Subject, data: Planted, step: str | None = None) -> dict[str, Tensor]:
    say(f"{subject.network}: explaining seed {subject.seed}" + (f" with new weights in: {step}" if step else ""))
    if step is None:
        return explain(subject, subject.model, data) | controls(data, subject.seed)
    return explain(subject, drawn_anew(subject, CASCADE[step], data.images), data)


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
