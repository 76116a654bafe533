"""Whole trials of versions that this process holds: without a registry, a data set and, mostly, other processes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from torch import nn

from case_monitor.domain.findings import Findings
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.judging import evaluate as judging
from case_monitor.judging import reproduce as reproducing
from case_monitor.judging.measurer import Subject
from case_monitor.judging.reproduce import Stored
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.local import Bench, LocalMeasurer
from case_monitor.measuring.measured_model import MeasuredModel

HERE = Bench()
StartsModel = Callable[[Protocol, str], MeasuredModel]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedVersion:
    """A version that can be measured, and the images as it wants them.

    Attributes:
        version: its identity.
        model: starts what measures it by a protocol on a device; or a module that this process has made itself.
        split: the images' identity, in the version's own order of classes.
        source: the images, prepared as the version wants them.
        declared_layer: the target layer that its metadata names.
        scores: what is stored of it for the same images and protocol, by layer; it is not explained anew.
    """

    version: ModelVersion
    model: StartsModel | nn.Module
    split: Split
    source: ImageSource
    declared_layer: str | None = None
    scores: Mapping[str, SampleScores] = field(default_factory=dict)


def evaluate(
    candidate: LoadedVersion,
    baseline: LoadedVersion | None,
    *,
    policy: Policy,
    protocol: Protocol,
    bench: Bench = HERE,
    in_production: bool = False,
    notes: tuple[str, ...] = (),
) -> Findings:
    """`case_monitor.judging.evaluate.evaluate` of versions that are held in this process, on a bench."""
    with ExitStack() as held:
        return judging.evaluate(
            subject_of(candidate, protocol, bench, held),
            subject_of(baseline, protocol, bench, held) if baseline else None,
            policy=policy,
            protocol=protocol,
            in_production=in_production,
            notes=notes,
        )


def reproduce(
    version: LoadedVersion, stored: Stored, *, protocol: Protocol, images: int, bench: Bench = HERE
) -> Reproduction:
    """Predict and explain some of the stored images again, and compare (`case_monitor.judging.reproduce`)."""
    with ExitStack() as held, foreign_code(f"model {version.version}"):
        return reproducing.reproduce(
            subject_of(version, protocol, bench, held), stored, protocol=protocol, images=images
        )


def subject_of(loaded: LoadedVersion, protocol: Protocol, bench: Bench, held: ExitStack) -> Subject:
    """As it is judged; what its model holds is given up with `held`."""
    source = loaded.source
    conditions = Conditions(source=source, num_classes=loaded.split.num_classes, protocol=protocol, device=bench.device)
    model = _measured(loaded, protocol, bench.device)
    held.callback(model.end)
    return Subject(
        version=loaded.version,
        split=loaded.split,
        sample_ids=source.sample_ids,
        target=source.target,
        excluded=source.excluded,
        measurer=LocalMeasurer(model=model, conditions=conditions, bench=bench),
        declared_layer=loaded.declared_layer,
        scores=loaded.scores,
    )


def _measured(loaded: LoadedVersion, protocol: Protocol, device: str) -> MeasuredModel:
    if isinstance(loaded.model, nn.Module):
        return HeldModel(model=loaded.model, protocol=protocol, device=device, groups=loaded.split.groups)
    return loaded.model(protocol, device)
