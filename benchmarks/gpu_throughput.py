"""How many images per second each method and the whole suite take, and how many forward passes that is."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from benchmarks import ours
from benchmarks.gpu_measure import DEFAULT, precision, raced, timed, timed_row, told, warmed_up
from benchmarks.gpu_networks import Effort, build, subject
from benchmarks.gpu_product import SUITE, WITHOUT_SCORECAM, InMemory, Product, Repeated, drawn_sample
from benchmarks.gpu_report import Section
from benchmarks.models import Subject
from benchmarks.timing import Contender, Work, seconds
from case_monitor.saliency import METHODS

ABOUT = (
    "F is one forward pass without gradients, per image, of the same batch on the device. Maps are for two classes, "
    "at the input's size, of images on the device. predict and suite are the product's jobs, of images in the host's "
    "memory, and include what they do once (two images through the network). Medians over rounds, in which everybody "
    "takes turns; what is slow takes part in one. Score-CAM and the suite with it are of one image; so are Ablation-"
    "CAM and the other suite where it runs the network for each channel. told: what was left for a slower way. "
    "peak_mib: what tensors took of the device's memory at most, with weights and images."
)
_FOUR = ("gradcam", "gradcam++", "layercam", "case")
_F = "F"
_SUITE_BATCHES = 2
_SLOW_SECONDS = 0.5


def throughput(section: Section, effort: Effort, device: str) -> None:
    for name, architecture in effort.large_networks.items():
        with section.attempt(name):
            model = build(architecture, device)
            with told() as left:
                _measure(section, subject(name, architecture, model, device, 8 if effort.quick else 0), effort, device)
            section.note(told=section.found.get("told", {}) | {name: left})
            del model
            if device == "cuda":
                torch.cuda.empty_cache()


def _measure(section: Section, of: Subject, effort: Effort, device: str) -> None:
    ablated = _affordable(of)
    work = [*_forwards(of), *_methods(of, ablated), *_scorecam(of), *_jobs(of, ablated, device)]
    contenders, peaks = warmed_up(work, device)
    took = raced(contenders, effort.rounds, of.name)
    for c in contenders:
        row = timed_row(c.name, took, _F)
        if c.name.startswith("Score-CAM"):
            row["masked_passes_per_s"] = row["images_per_s"] * of.channels
        facts = {"network": of.name, "batch": len(of.images), "channels": of.channels}
        section.add({**facts, **row, "peak_mib": peaks[c.name]})


def _forwards(of: Subject) -> list[Contender]:
    """The unit, and what the hardware could do."""
    images, device = of.images, of.images.device.type
    last = images.contiguous(memory_format=torch.channels_last)
    ways: dict[str, Work] = {
        _F: lambda: _run(of, images),
        "F, channels last": lambda: _run(of, last),
        "F, TF32 on": lambda: _run(of, images, "TF32 on"),
        "F, TF32 off": lambda: _run(of, images, "TF32 off"),
        "F, bfloat16, channels last": lambda: _run(of, last, amp=device),
    }
    if any(isinstance(module, nn.BatchNorm2d) for module in of.model.modules()):
        folded = replace(of, model=fuse(of.model).to(memory_format=torch.channels_last))
        ways["F, channels last, folded"] = lambda: _run(folded, last)
        ways["F, bfloat16, channels last, folded"] = lambda: _run(folded, last, amp=device)
    return [timed(name, work, len(images)) for name, work in ways.items()]


@torch.no_grad()
def _run(of: Subject, images: torch.Tensor, mode: str = DEFAULT, amp: str = "") -> None:
    autocast = torch.autocast(amp, dtype=torch.bfloat16) if amp else nullcontext()
    with precision(mode), autocast:
        of.model(images)


def _affordable(of: Subject) -> int:
    """For how many images Ablation-CAM is timed: one where it runs the network for each channel, and takes minutes."""
    one = ours.maps(of, ("ablationcam",), 1, batch_size=len(of.images))
    one()
    return len(of.images) if seconds(one) < _SLOW_SECONDS else 1


def _methods(of: Subject, ablated: int) -> list[Contender]:
    count = len(of.images)
    four = ours.maps(of, _FOUR, count, batch_size=count)
    single = [m for m in METHODS if m not in {"scorecam", "ablationcam"}]
    return [
        timed("four gradient methods", four, count),
        timed("four gradient methods, TF32 on", _with_tf32(four), count),
        *(timed(m, ours.maps(of, (m,), count, batch_size=count), count) for m in single),
        timed("ablationcam", ours.maps(of, ("ablationcam",), ablated, batch_size=count), ablated, slow=ablated == 1),
    ]


def _scorecam(of: Subject) -> list[Contender]:
    """One image: every channel is a forward pass, in batches as large as the product's."""
    rows = len(of.images)
    return [
        timed(name, ours.maps(of, ("scorecam",), 1, batch_size=rows, **options), 1, slow=True)
        for name, options in {"Score-CAM": {}, "Score-CAM, bfloat16": {"amp": torch.bfloat16}}.items()
    ]


def _jobs(of: Subject, ablated: int, device: str) -> list[Contender]:
    rows = len(of.images)
    count = _SUITE_BATCHES * rows
    source = Repeated(InMemory(of.images.cpu()), count)
    product = Product(of.model, of.architecture.layer, source, device, of.num_classes)
    explained = count if ablated > 1 else 1
    sample = drawn_sample(product.predictions(explained, rows))
    one = drawn_sample(product.predictions(1, rows))
    return [
        timed("predict", lambda: product.predictions(count, rows), count),
        timed(
            "suite without Score-CAM",
            partial(product.explain, sample, WITHOUT_SCORECAM, rows),
            explained,
            slow=True,
        ),
        timed("suite", partial(product.explain, one, SUITE, rows), 1, slow=True),
    ]


def _with_tf32(work: Callable[[], object]) -> Work:
    def run() -> object:
        with precision("TF32 on"):
            return work()

    return run
