"""What an evaluation works on: the version, the one in production, the images, and how to judge and measure."""

from dataclasses import dataclass

from sqlalchemy import Engine

from case_monitor.core.evaluation import evaluation_key
from case_monitor.core.policy import Policy
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import EvaluationKey, Split
from case_monitor.dataset import PreparedImages
from case_monitor.model_ref import ModelRef
from case_monitor.reconcile import reconcile, with_target_layer
from case_monitor.registry import RegisteredModel
from case_monitor.settings import EngineSpec, Settings
from case_monitor.store import read
from flows.edges import fetch_model, fetch_split, read_alias
from flows.engines import device_for
from flows.first_version import check_first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """All that was fetched.

    `baseline` is None where no other version holds the alias, `in_production` says that the candidate does, and
    `first_digest` is that of the candidate's artifact when it was first evaluated.
    """

    candidate: RegisteredModel
    baseline: RegisteredModel | None
    in_production: bool
    first_digest: str | None
    split: Split
    source: PreparedImages
    policy: Policy
    protocol: Protocol
    baseline_protocol: Protocol
    device: str
    engine: EngineSpec

    @property
    def key(self) -> EvaluationKey:
        """The natural key of an evaluation of these."""
        baseline = self.baseline.version if self.baseline else None
        return evaluation_key(self.candidate.version, self.split, baseline, self.policy, self.protocol)


def gather(settings: Settings, engine: Engine, ref: ModelRef, *, first: bool = False) -> Inputs:
    """Fetch a version and what it is held against; `first`: a person says that there is nothing.

    Raises:
        CaseMonitorError: something is missing, does not load, or contradicts something else.
    """
    model_settings = settings.model(ref.name)
    device = device_for(settings.device, settings.engine)
    candidate: RegisteredModel = fetch_model(settings, ref)
    version = candidate.version
    holder: int | None = read_alias(settings, ref.name)
    check_first(engine, settings.alias, ref.name, version.version, holder, first=first)
    baseline: RegisteredModel | None = None
    if holder not in {None, version.version}:
        baseline = fetch_model(settings, ModelRef(name=ref.name, version=holder))
    raw = fetch_split(settings, model_settings.split)
    split, source = reconcile(candidate, model_settings, raw, settings.num_workers)
    protocol = settings.protocol_of(ref.name)
    return Inputs(
        candidate=candidate,
        baseline=baseline,
        in_production=holder == version.version,
        first_digest=read.first_digest(engine, version.name, version.version),
        split=split,
        source=source,
        policy=settings.policy_of(ref.name),
        protocol=with_target_layer(protocol, candidate),
        baseline_protocol=with_target_layer(protocol, baseline) if baseline else protocol,
        device=device,
        engine=settings.engine,
    )
