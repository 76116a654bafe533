"""Times the saliency engine against pytorch-grad-cam, torchcam, captum and the paper's procedure for CASE.

All take turns in one run, and what counts are ratios: seconds depend on the machine and on what else it does. The unit
F is one forward pass without gradients, per image at batch 8. All costs are per image, for the maps of both classes
(the most and the second most probable).
"""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks import memory, peers, table
from benchmarks.models import ARCHITECTURES, QUICK, Subject, load
from benchmarks.ratios import Section, Settings
from benchmarks.sections import SECTIONS
from benchmarks.timing import race, say, seconds

_EPILOG = """\
Goals count as reached within 15%. Channelwise methods of other libraries take minutes per image: a part of the
channels is timed and scaled to all ("scaled"; --whole checks that on ResNet-18). "summed" rows add up pieces measured
in the same round. The first run of a kernel, and compiling, are not timed.
"""
# Channels of the channelwise methods of others that are timed: a multiple of their batches (16 and 32).
_PART, _QUICK_PART = 64, 32
_REPEATS, _QUICK_REPEATS = 9, 2


def main(arguments: list[str] | None = None) -> int:
    """Run, show, save or check; 1 if a check failed."""
    options = _options(arguments)
    if options.memory:
        print(memory.table(quick=options.quick))
        return 0
    if options.whole:
        _check_scaling(load("resnet18", options.side), _PART)
        return 0
    found = [row for name in options.models for row in _measure(name, options)]
    print(table.as_markdown(found) if options.markdown else table.as_text(found))
    if options.save:
        table.save(options.save, found)
    behind = table.slower_than_saved(options.check, found) if options.check else []
    for line in behind:
        print(f"SLOWER {line}")
    return 1 if behind else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.saliency", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--models", nargs="+", choices=ARCHITECTURES, help="networks (default: all)")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, help="parts of the table (default: all)")
    parser.add_argument("--repeats", type=int, help=f"rounds (default: {_REPEATS}); slow contenders run in a third")
    parser.add_argument(
        "--quick", action="store_true", help="two rounds on three networks, nothing compiled; under three minutes"
    )
    parser.add_argument("--side", type=int, help="other image size, to try this program out")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--check", type=Path, metavar="FILE", help="fail if a row is below 60%% of a saved table's")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/performance.md")
    parser.add_argument("--memory", action="store_true", help="only measure peak memory, in child processes")
    parser.add_argument("--whole", action="store_true", help="only check the scaling of channelwise methods")
    options = parser.parse_args(arguments)
    options.models = options.models or list(QUICK if options.quick else ARCHITECTURES)
    options.repeats = options.repeats or (_QUICK_REPEATS if options.quick else _REPEATS)
    return options


def _measure(name: str, options: argparse.Namespace) -> list[table.Row]:
    subject = load(name, options.side)
    settings = Settings(part=_QUICK_PART if options.quick else _PART, compiled=not options.quick)
    section = Section()
    for wanted in options.sections or _default_sections(subject, quick=options.quick):
        section.join(SECTIONS[wanted](subject, settings))
    slow_rounds = max(1, options.repeats // 3)
    rounds = race(list(section.contenders.values()), options.repeats, slow_rounds, name)
    return table.rows(name, section, rounds)


def _default_sections(subject: Subject, *, quick: bool) -> list[str]:
    if quick and subject.name == "resnet50":  # large: only for what its last layers are the reference
        return ["ablation"]
    return [section for section in SECTIONS if section != "scorecam" or subject.architecture.scorecam]


def _check_scaling(subject: Subject, part: int) -> None:
    """All channels of one image by pytorch-grad-cam, against what `part` of them predict."""
    for method, cam in peers.PG_CHANNELWISE.items():
        say(f"{subject.name}: {method}: {part} channels, then all {subject.channels}")
        peers.pg_sliced(cam, subject, part)  # the first call of a kernel is slow, and would be scaled as well
        predicted = peers.pg_sliced(cam, subject, part)
        classes = subject.targets[:1].T.tolist()
        whole = seconds(lambda: peers.pg_maps(cam, subject, subject.images[:1], classes))  # noqa: B023 - called at once
        print(f"{method}: scaled from {part} of {subject.channels} channels / measured: {predicted / whole:.2f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
