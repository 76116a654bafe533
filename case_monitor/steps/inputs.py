"""What an evaluation works on: the version, the one in production, the images, and how to judge and measure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypedDict

from sqlalchemy import Engine

from case_monitor.domain.digests import evaluation_key
from case_monitor.domain.errors import DataError
from case_monitor.domain.evaluation import EvaluationKey
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.split import Split
from case_monitor.judging.pairing import require_same_classes
from case_monitor.measuring_process.place import Images, OpenedSplit, Place
from case_monitor.registry.loading import RegisteredModel
from case_monitor.registry.reconcile import choose_preprocessing, reconcile
from case_monitor.settings import EngineSpec, ModelSettings, Preprocessing, Settings
from case_monitor.steps.changes import between, since_evaluated
from case_monitor.steps.edges.images import fetch_split
from case_monitor.steps.edges.models import fetch_model
from case_monitor.steps.edges.registry import read_alias
from case_monitor.steps.first_version import check_first
from case_monitor.steps.places import device_at, place_for
from case_monitor.store import read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A registered version, and the images as it wants them."""

    registered: RegisteredModel
    split: Split
    images: Images
    preprocessing: Preprocessing | None

    @property
    def version(self) -> ModelVersion:
        """Its identity."""
        return self.registered.version


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """All that was fetched.

    `baseline` is None where no other version holds the alias, `in_production` says that the candidate does,
    `first_digest` is that of the candidate's artifact when it was first evaluated, and `notes` is what has changed
    since the version in production was evaluated.
    """

    candidate: Prepared
    baseline: Prepared | None
    in_production: bool
    first_digest: str | None
    notes: tuple[str, ...]
    policy: Policy
    protocol: Protocol
    device: str
    torch_version: str
    engine: EngineSpec
    isolation: Isolation

    @property
    def key(self) -> EvaluationKey:
        """The natural key of an evaluation of these."""
        baseline = self.baseline.version if self.baseline else None
        return evaluation_key(self.candidate.version, self.candidate.split, baseline, self.policy, self.protocol)


def gather(settings: Settings, engine: Engine, ref: ModelRef, *, first: bool = False) -> Inputs:
    """Fetch a version and what it is held against; `first`: a person says that there is nothing.

    Raises:
        CaseMonitorError: something is missing, does not load, or contradicts something else.
    """
    model_settings = settings.model(ref.name)
    place = place_for(settings.engine, model_settings.split)  # it imports torch beside what is fetched here
    registered: RegisteredModel = fetch_model(settings, ref)
    version = registered.version
    holder: int | None = read_alias(settings, ref.name)
    check_first(engine, settings.alias, ref.name, version.version, holder, first=first)
    in_production = holder == version.version
    champion: RegisteredModel | None = None
    if holder is not None and not in_production:
        champion = fetch_model(settings, ModelRef(name=ref.name, version=holder))
    device = device_at(place, settings.device, settings.engine)
    opened: OpenedSplit = fetch_split(settings, model_settings.split, place)
    candidate = _prepared(registered, model_settings, opened, settings.num_workers)
    baseline = _beside(candidate, champion, model_settings, opened, settings.num_workers) if champion else None
    return Inputs(
        candidate=candidate,
        baseline=baseline,
        in_production=in_production,
        first_digest=read.first_digest(engine, version.name, version.version),
        notes=tuple(_notes(engine, candidate, baseline, in_production=in_production)),
        **_ways(settings, ref.name, place, device),
    )


def gather_alone(settings: Settings, ref: ModelRef) -> Inputs:
    """Fetch a version that is looked at by itself, whatever is in production.

    Raises:
        CaseMonitorError: something is missing, does not load, or contradicts something else.
    """
    model_settings = settings.model(ref.name)
    place = place_for(settings.engine, model_settings.split)
    registered: RegisteredModel = fetch_model(settings, ref)
    device = device_at(place, settings.device, settings.engine)
    opened: OpenedSplit = fetch_split(settings, model_settings.split, place)
    return Inputs(
        candidate=_prepared(registered, model_settings, opened, settings.num_workers),
        baseline=None,
        in_production=False,
        first_digest=None,
        notes=(),
        **_ways(settings, ref.name, place, device),
    )


class _Ways(TypedDict):
    policy: Policy
    protocol: Protocol
    device: str
    torch_version: str
    engine: EngineSpec
    isolation: Isolation


def _ways(settings: Settings, name: str, place: Place, device: str) -> _Ways:
    return _Ways(
        policy=settings.policy_of(name),
        protocol=settings.protocol_of(name),
        device=device,
        torch_version=place.torch_version,
        engine=settings.engine,
        isolation=settings.isolation.record,
    )


def _prepared(registered: RegisteredModel, settings: ModelSettings, opened: OpenedSplit, num_workers: int) -> Prepared:
    images = reconcile(registered, settings, opened, num_workers)
    preprocessing = choose_preprocessing(registered, settings)
    return Prepared(registered=registered, split=images.split, images=images, preprocessing=preprocessing)


def _beside(
    candidate: Prepared, champion: RegisteredModel, settings: ModelSettings, opened: OpenedSplit, num_workers: int
) -> Prepared:
    """The version in production through its own eyes, with the candidate's images where those are the same."""
    try:
        own = _prepared(champion, settings, opened, num_workers)
        require_same_classes(candidate.version, candidate.split, own.version, own.split)
    except DataError as error:
        msg = (
            f"{candidate.version} cannot be compared with {champion.version}, in production: {error}; without a "
            "comparison nothing is promoted: register what is another model under another name"
        )
        raise DataError(msg) from None
    return replace(own, split=candidate.split, images=candidate.images) if own.split == candidate.split else own


def _notes(engine: Engine, candidate: Prepared, baseline: Prepared | None, *, in_production: bool) -> Iterator[str]:
    champion = candidate if in_production else baseline
    if champion is not None:
        stored = read.latest_evaluation(engine, champion.version.name, champion.version.version)
        yield from since_evaluated(stored, champion.split)
    if baseline is not None:
        yield from between(
            candidate.version,
            candidate.split,
            candidate.preprocessing,
            baseline.version,
            baseline.split,
            baseline.preprocessing,
        )
