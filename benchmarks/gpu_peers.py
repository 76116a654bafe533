"""Other libraries on the same device in the same rounds: how many times faster ours is."""

import importlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from types import ModuleType

from benchmarks import ours, table
from benchmarks.gpu_measure import raced, timed, warmed_up
from benchmarks.gpu_networks import Effort, build, subject
from benchmarks.gpu_report import Section
from benchmarks.models import Subject
from benchmarks.ratios import Ratio
from benchmarks.ratios import Section as Ratios
from benchmarks.timing import Contender

ABOUT = (
    "x: how many times faster ours is, medians of the ratios per round. Everybody gets the same batch and explains two "
    "classes of each image; ours and pytorch-grad-cam give maps at the input's size, torchcam at the layer's. "
    "Channelwise methods and the paper's procedure for CASE are of one image. Channelwise methods of the others are "
    "timed on some of the channels and scaled to all (scaled), with the batches that are their default; ours does all."
)
_THREE = ("gradcam", "gradcam++", "layercam")
_MODULES = {"pytorch-grad-cam": "benchmarks.peers", "torchcam": "benchmarks.peers_torchcam"}


def peers(section: Section, effort: Effort, device: str) -> None:
    libraries = _libraries(section)
    for name, architecture in effort.peers_networks.items() if libraries else ():
        with section.attempt(name):
            of = subject(name, architecture, build(architecture, device), device, effort.peers_batch)
            ratios = _ratios(of, effort.peers_part, libraries)
            contenders, peaks = warmed_up(list(ratios.contenders.values()), device)
            took = raced(contenders, effort.rounds, f"{name} against others")
            for row in table.rows(name, ratios, took):
                section.add({"batch": len(of.images), "channels": of.channels, **asdict(row)})
            section.note(peak_mib=section.found.get("peak_mib", {}) | {name: peaks})


def _libraries(section: Section) -> dict[str, ModuleType]:
    """Those that are there: who measures a GPU may not be able to install any."""
    found, absent = {}, []
    for library, module in _MODULES.items():
        try:
            found[library] = importlib.import_module(module)
        except ImportError as error:
            absent.append(f"{library}: {error}")
    section.note(absent=absent)
    return found


def _ratios(of: Subject, part: int, libraries: dict[str, ModuleType]) -> Ratios:
    ratios, count = Ratios(), len(of.images)
    ratios.add(
        timed("F", partial(ours.forward, of), count),
        timed("ours: three", ours.maps(of, _THREE, count, batch_size=count), count),
        *(timed(f"ours: {m}", ours.maps(of, (m,), count, batch_size=count), count) for m in _THREE),
        *(_one_image(of, m) for m in ("case", "ablationcam")),
        _one_image(of, "scorecam"),
    )
    ratios.cost("Grad-CAM, Grad-CAM++ and LayerCAM in one call", "ours: three")
    for library, module in libraries.items():
        _AGAINST[library](ratios, of, module, min(part, of.channels))
    return ratios


def _one_image(of: Subject, method: str) -> Contender:
    """As its users would run it on one image, in batches as large as memory takes."""
    return timed(f"ours: {method}, one image", ours.maps(of, (method,), 1), 1, slow=method == "scorecam")


def _against_grad_cam(ratios: Ratios, of: Subject, module: ModuleType, part: int) -> None:
    count, classes = len(of.images), of.targets.T.tolist()
    for method, cam in module.PG_GRADIENT.items():
        ratios.add(timed(f"pg: {method}", partial(module.pg_maps, cam, of, of.images, classes), count))
        ratios.speedup(f"{method} over pytorch-grad-cam", f"pg: {method}", f"ours: {method}")
    over = {f"pg: {method}": 1.0 for method in _THREE}
    title = "those three in one call over pytorch-grad-cam"
    ratios.ratios.append(Ratio(title=title, over=over, under={"ours: three": 1}))
    for method, cam in module.PG_CHANNELWISE.items():
        _add_scaled(ratios, f"pg: {method}", partial(module.pg_sliced, cam, of, part))
        ratios.speedup(f"{method} over pytorch-grad-cam", f"pg: {method}", f"ours: {method}, one image")
    ratios.add(timed("paper: case", partial(module.paper_case, of, of.images[:1], _contrasts(of)), 1))
    ratios.speedup("CASE, k = 5, over the paper's procedure", "paper: case", "ours: case, one image")


def _against_torchcam(ratios: Ratios, of: Subject, module: ModuleType, part: int) -> None:
    count = len(of.images)
    ratios.add(
        timed("torchcam: three", partial(module.tc_gradient, of), count),
        timed("torchcam: three, shared", partial(module.tc_gradient_shared, of), count),
    )
    ratios.speedup("those three in one call over torchcam", "torchcam: three", "ours: three")
    title = "those three over torchcam, whose extractors share a forward pass"
    ratios.speedup(title, "torchcam: three, shared", "ours: three")
    _add_scaled(ratios, "torchcam: scorecam", partial(module.tc_scorecam, of, part))
    ratios.speedup("scorecam over torchcam", "torchcam: scorecam", "ours: scorecam, one image")


_AGAINST: dict[str, Callable[[Ratios, Subject, ModuleType, int], None]] = {
    "pytorch-grad-cam": _against_grad_cam,
    "torchcam": _against_torchcam,
}


def _add_scaled(ratios: Ratios, name: str, measure: Callable[[], float]) -> None:
    ratios.add(Contender(name=name, measure=measure, warm_up=measure, slow=True, scaled=True))


def _contrasts(of: Subject) -> dict[int, list[int]]:
    sets = of.contrast_sets(ours.CONTRAST_K)
    return {u: sets[u] for u in of.targets[0].tolist()}
