"""How often the gate cries wolf, how often it sleeps, and whether its tests keep their level.

Versions of known health are trained and measured once; verdicts are of samples drawn from their images. Everything is
kept in a folder, so that a run that was killed goes on where it was. "Withheld" is failed or insufficient.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.calibration import nights, tests_and_intervals
from benchmarks.calibration.images import IMAGE_SETS
from benchmarks.calibration.kinds import KINDS
from benchmarks.calibration.picture import picture
from benchmarks.calibration.results import Asked, Result, result
from benchmarks.calibration.tables import (
    GOAL_IMAGES,
    aim_table,
    cause_table,
    fidelity_sentence,
    shown_table,
    verdict_table,
)
from benchmarks.calibration.versions import SEEDS, Kept, versions
from case_monitor.domain.methods import METHODS

OTHERS = ("gradcam", "gradcam++", "layercam", "hirescam", "occlusion")
SLOW = tuple(method.name for method in METHODS.values() if not method.by_gradients and method.name not in OTHERS)
OF_METHODS = ("plain CNN", "ResNet", "ConvNeXt", "ViT", "same-probability twin", "shared attention", "early layer")
"""Kinds on which each method is looked at: on the others, it is the network that is withheld, not its maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is trained, measured and drawn."""

    steps: float = 1.0
    pool: int = 1000
    sizes: tuple[int, ...] = (150, 300, 500)
    draws: int = 25
    paper_draws: int = 5
    of_methods: int = 400
    of_slow_methods: int = 200
    of_slow_sample: int = 150


QUICK = Effort(steps=0.5, pool=400, sizes=(150, 300), draws=10, paper_draws=5)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    options = _options(arguments)
    effort, only = (QUICK if options.quick else Effort()), options.only
    if only in {None, "verdicts"}:
        results = list(_judged(options, effort))
        print(_verdicts(results, effort))
        if options.figure:
            picture(results).savefig(options.figure, dpi=110)
    if only in {None, "methods"}:
        for n, found in _by_method(options, effort):
            print(shown_table(list(found), n), end="\n\n")
    if only in {None, "tests"}:
        print(tests_and_intervals.table(quick=options.quick), end="\n\n")
        print(tests_and_intervals.table_of_margins(quick=options.quick), end="\n\n")
    if only in {None, "nights"}:
        print(nights.table(quick=options.quick))
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="digits only, two seeds, shorter training, fewer draws")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], default=[*KINDS], help="of versions (default: all)")
    parser.add_argument("--sets", nargs="+", choices=[*IMAGE_SETS], default=None, help="of images (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=None, help="of networks; 0 may be looked at")
    parser.add_argument("--only", choices=["verdicts", "methods", "tests", "nights"], help="some of the tables")
    parser.add_argument("--folder", type=Path, default=Path("calibration-results"), help="what is done is kept here")
    parser.add_argument("--figure", type=Path, help="draw the figures of all networks into this file")
    options = parser.parse_args(arguments)
    options.sets = options.sets or (["digits"] if options.quick else [*IMAGE_SETS])
    options.seeds = options.seeds or (SEEDS[:2] if options.quick else SEEDS)
    return options


def _kept(options: argparse.Namespace, effort: Effort, pool: int) -> Kept:
    return Kept(folder=options.folder / "quick" if options.quick else options.folder, pool=pool, effort=effort.steps)


def _judged(options: argparse.Namespace, effort: Effort) -> Iterable[Result]:
    asked = Asked(verdicts={"contrast": (effort.sizes, effort.draws), "paper": ((GOAL_IMAGES,), effort.paper_draws)})
    kept = _kept(options, effort, effort.pool)
    for version in versions(options.kinds, options.sets, options.seeds):
        yield result(kept, version, "case", asked)


def _verdicts(results: list[Result], effort: Effort) -> str:
    tables = [aim_table(results)]
    for held_out in (True, False):
        tables += [verdict_table(results, effort.sizes, held_out=held_out), cause_table(results, held_out=held_out)]
    return "\n\n".join([*tables, fidelity_sentence(results)]) + "\n"


def _by_method(options: argparse.Namespace, effort: Effort) -> Iterable[tuple[int, Iterable[Result]]]:
    """(images of a sample, results): of what costs little for more images."""
    kinds = [kind for kind in OF_METHODS if kind in options.kinds]
    for methods, pool, n in (
        (OTHERS, effort.of_methods, GOAL_IMAGES),
        (SLOW, effort.of_slow_methods, effort.of_slow_sample),
    ):
        kept, asked = _kept(options, effort, pool), Asked(verdicts={"contrast": ((n,), effort.draws)})
        yield (
            n,
            (
                result(kept, version, shown, asked, champion=False)
                for shown in methods
                for version in versions(kinds, options.sets, options.seeds)
            ),
        )


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
