"""What is timed and which ratios are formed: the acceptance table, section by section."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from benchmarks import diagnosed, ours, peers, peers_torchcam
from benchmarks.models import BATCH, Subject
from benchmarks.ratios import Ratio, Section, Settings
from benchmarks.timing import Contender, contender
from case_monitor.domain.diagnostics import scores_of
from case_monitor.domain.methods import METHODS, method_title
from case_monitor.domain.protocol import TOP_FRACTION
from case_monitor.measuring.diagnostics.diagnose import FUNCTIONS

THREE = ("gradcam", "gradcam++", "layercam")
WITHOUT_SCORECAM = ("case", *THREE, "ablationcam")
SIX = (*WITHOUT_SCORECAM, "scorecam")
FURTHER = tuple(method for method in METHODS if method not in SIX)
_CONTRASTS = (1, 5, 20, 50)
_SCORECAM_OPTIONS: dict[str, dict[str, Any]] = {
    "Score-CAM": {},
    "Score-CAM, compiled": {"compile": True},
    "Score-CAM, bfloat16": {"amp": torch.bfloat16},
}
_SCORECAM_GOALS = {"Score-CAM": 2.0, "Score-CAM, compiled": 3.0, "Score-CAM, bfloat16": None}


def gradient(subject: Subject, _settings: Settings) -> Section:
    """Grad-CAM, Grad-CAM++, LayerCAM and CASE (rows 1 to 4)."""
    section = Section()
    section.add(
        _forward(subject),
        _ours(subject, "ours: four", (*THREE, "case")),
        _ours(subject, "ours: three", THREE),
        *(_ours(subject, f"ours: {method}", (method,)) for method in THREE),
        *_pg_gradient(subject),
        contender("torchcam: three", partial(peers_torchcam.tc_gradient, subject), BATCH),
        contender("torchcam: three, shared", partial(peers_torchcam.tc_gradient_shared, subject), BATCH),
        contender("captum: gradcam", partial(peers.captum_gradcam, subject), BATCH),
    )
    section.cost("Grad-CAM, Grad-CAM++, LayerCAM and CASE in one call", "ours: four", goal=1.10)
    for method in THREE:
        section.speedup(f"{method} over pytorch-grad-cam", f"pg: {method}", f"ours: {method}", goal=5.5)
    section.ratios.append(
        Ratio(
            title="those three in one call over pytorch-grad-cam",
            over={f"pg: {method}": 1 for method in THREE},
            under={"ours: three": 1},
            goal=15,
        )
    )
    section.speedup("those three in one call over torchcam", "torchcam: three", "ours: three", goal=2.7)
    title = "those three over torchcam, whose extractors share a forward pass"
    section.speedup(title, "torchcam: three, shared", "ours: three")
    section.speedup("gradcam over captum", "captum: gradcam", "ours: gradcam", goal=2.8)
    section.join(_case(subject))
    return section


def _case(subject: Subject) -> Section:
    section = Section()
    contrasts = [k for k in _CONTRASTS if k < subject.num_classes]
    for k in contrasts:
        section.add(_ours(subject, f"ours: case, k = {k}", ("case",), k=k))
        section.cost(f"CASE, k = {k}", f"ours: case, k = {k}")
    first, last = contrasts[0], contrasts[-1]
    section.ratios.append(
        Ratio(
            title=f"CASE, k = {last} against k = {first}",
            over={f"ours: case, k = {last}": 1},
            under={f"ours: case, k = {first}": 1},
            unit="ratio",
            goal=1.05,
        )
    )
    section.add(_paper(subject))
    section.speedup("CASE, k = 5, over the paper's procedure", "paper: case", "ours: case, k = 5", goal=40)
    return section


def ablation(subject: Subject, settings: Settings) -> Section:
    """Ablation-CAM (row 5)."""
    section = Section()
    section.add(
        _forward(subject),
        _ours(subject, "ours: gradcam", ("gradcam",)),
        _ours(subject, "ours: ablationcam", ("ablationcam",)),
        _ours(subject, "ours: gradcam and ablationcam", ("gradcam", "ablationcam")),
        _pg_channelwise(subject, "ablationcam", settings),
    )
    goal = subject.architecture.fast_ablation
    section.speedup("Ablation-CAM over pytorch-grad-cam", "pg: ablationcam", "ours: ablationcam", goal=goal)
    section.cost("Ablation-CAM", "ours: ablationcam")
    section.ratios.append(
        Ratio(
            title="Ablation-CAM, added to Grad-CAM",
            over={"ours: gradcam and ablationcam": 1, "ours: gradcam": -1},
            under={"F": 1},
            unit="F",
        )
    )
    return section


def scorecam(subject: Subject, settings: Settings) -> Section:
    """Score-CAM in float32, compiled and in bfloat16 (row 6)."""
    section = Section()
    section.add(
        _forward(subject),
        _pg_channelwise(subject, "scorecam", settings),
        _tc_scorecam(subject, settings),
    )
    for name in _affordable(settings):
        goal = _SCORECAM_GOALS[name]
        section.add(_scorecam(subject, name))
        section.speedup(f"{name} over pytorch-grad-cam", "pg: scorecam", f"ours: {name}", goal=goal)
        section.speedup(f"{name} over torchcam", "torchcam: scorecam", f"ours: {name}", goal=goal)
        section.ratios.append(
            Ratio(
                title=name,
                over={f"ours: {name}": 1},
                under={"F": 1},
                unit="F/mask",
                factor=1 / subject.channels,
            )
        )
    return section


def suite(subject: Subject, settings: Settings) -> Section:
    """All six methods with agreement and fidelity (row 7).

    The others' time is the sum of what was measured one by one in the same round: pytorch-grad-cam for five methods,
    the paper's procedure for CASE, and scoring method by method.
    """
    section = Section()
    slow = not subject.architecture.small
    section.add(
        _forward(subject),
        *_pg_gradient(subject),
        _paper(subject),
        _pg_channelwise(subject, "ablationcam", settings),
        contender(
            "ours: suite without Score-CAM", ours.explanation(subject, WITHOUT_SCORECAM, BATCH), BATCH, slow=slow
        ),
        contender("others: scores", _others_scores(subject), BATCH, slow=slow),
    )
    others = {f"pg: {method}": 1.0 for method in THREE} | {"paper: case": 1.0, "pg: ablationcam": 1.0}
    share = len(WITHOUT_SCORECAM) / len(SIX)  # scoring costs the same for every method
    section.ratios.append(
        Ratio(
            title="whole suite without Score-CAM over pytorch-grad-cam and the paper's CASE",
            over=others | {"others: scores": share},
            under={"ours: suite without Score-CAM": 1},
            goal=80 if slow else None,
            summed=True,
        )
    )
    section.cost("whole suite without Score-CAM", "ours: suite without Score-CAM")
    if subject.architecture.scorecam:
        section.join(_whole_suite(subject, settings, others | {"others: scores": 1.0, "pg: scorecam": 1.0}))
    return section


def _whole_suite(subject: Subject, settings: Settings, others: Mapping[str, float]) -> Section:
    section = Section()
    slow, images = not subject.architecture.small, _scorecam_images(subject)
    work = ours.explanation(subject, SIX, images)
    section.add(
        contender("ours: suite", work, images, slow=slow),
        _pg_channelwise(subject, "scorecam", settings),
    )
    title = "whole suite over pytorch-grad-cam and the paper's CASE"
    goal = 6 if slow else None
    section.ratios.append(Ratio(title=title, over=others, under={"ours: suite": 1}, goal=goal, summed=True))
    for name in _affordable(settings):
        if name == "Score-CAM":
            continue
        section.add(_scorecam(subject, name))
        under = {"ours: suite without Score-CAM": 1.0, f"ours: {name}": 1.0}
        section.ratios.append(Ratio(title=f"{title}, {name}", over=others, under=under, summed=True))
    return section


def further(subject: Subject, _settings: Settings) -> Section:
    """What every other method costs by itself."""
    section = Section()
    section.add(_forward(subject))
    for method in FURTHER:
        # Occlusion is 64 masked images for each: one has to do.
        images = 1 if method == "occlusion" and not subject.architecture.small else BATCH
        slow = images < BATCH
        section.add(contender(f"ours: {method}", ours.maps(subject, (method,), images), images, slow=slow))
        section.cost(method_title(method), f"ours: {method}")
    return section


def diagnostics(subject: Subject, _settings: Settings) -> Section:
    """What every diagnostic costs, of one method."""
    section = Section()
    section.add(_forward(subject))
    for name in FUNCTIONS:
        # ROAD solves ten systems of equations for each map: one image has to do.
        images = 1 if name == "road" and not subject.architecture.small else BATCH
        slow = images < BATCH
        section.add(contender(f"ours: {name}", diagnosed.diagnosis(subject, name, images), images, slow=slow))
        section.cost(", ".join(score.title for score in scores_of([name])), f"ours: {name}")
    return section


SECTIONS: dict[str, Callable[[Subject, Settings], Section]] = {
    "gradient": gradient,
    "ablation": ablation,
    "scorecam": scorecam,
    "suite": suite,
    "further": further,
    "diagnostics": diagnostics,
}


def _forward(subject: Subject) -> Contender:
    return contender("F", partial(ours.forward, subject), BATCH)


def _ours(subject: Subject, name: str, methods: tuple[str, ...], *, k: int = ours.CONTRAST_K) -> Contender:
    return contender(name, ours.maps(subject, methods, BATCH, k), BATCH)


def _scorecam(subject: Subject, name: str) -> Contender:
    options = _SCORECAM_OPTIONS[name]
    slow, images = not subject.architecture.small, _scorecam_images(subject)
    work = ours.maps(subject, ("scorecam",), images, **options)
    # Compiling happens at the first call: half a minute that is worth it for hundreds of images.
    return contender(f"ours: {name}", work, images, slow=slow, warm="compile" in options or not slow)


def _affordable(settings: Settings) -> list[str]:
    return [name for name, options in _SCORECAM_OPTIONS.items() if settings.compiled or "compile" not in options]


def _scorecam_images(subject: Subject) -> int:
    """Score-CAM costs up to 2048 forward passes per image: one has to do."""
    return BATCH if subject.architecture.small else 1


def _pg_gradient(subject: Subject) -> list[Contender]:
    classes = subject.targets.T.tolist()
    return [
        contender(f"pg: {method}", partial(peers.pg_maps, cam, subject, subject.images, classes), BATCH)
        for method, cam in peers.PG_GRADIENT.items()
    ]


def _pg_channelwise(subject: Subject, method: str, settings: Settings) -> Contender:
    cam = peers.PG_CHANNELWISE[method]
    part = settings.channels(subject)
    if part == subject.channels:
        classes = subject.targets[:1].T.tolist()
        return contender(f"pg: {method}", partial(peers.pg_maps, cam, subject, subject.images[:1], classes), 1)
    measure = partial(peers.pg_sliced, cam, subject, part)
    return Contender(name=f"pg: {method}", measure=measure, warm_up=measure, slow=True, scaled=True)


def _tc_scorecam(subject: Subject, settings: Settings) -> Contender:
    part = settings.channels(subject)
    scaled = part < subject.channels
    measure = partial(peers_torchcam.tc_scorecam, subject, part)
    return Contender(name="torchcam: scorecam", measure=measure, warm_up=measure, slow=scaled, scaled=scaled)


def _paper(subject: Subject) -> Contender:
    u, second = subject.targets[0].tolist()
    sets = subject.contrast_sets(ours.CONTRAST_K)
    contrast = {u: sets[u], second: sets[second]}
    return contender("paper: case", partial(peers.paper_case, subject, subject.images[:1], contrast), 1)


def _others_scores(subject: Subject) -> Callable[[], None]:
    # Any maps do: scoring takes as long for good ones.
    maps = dict.fromkeys(SIX, ours.control_maps(subject))
    control = ours.control_maps(subject).flip(1)
    return partial(peers.scores_one_by_one, subject, maps, control, ours.AREAS, TOP_FRACTION)
