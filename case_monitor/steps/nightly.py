"""`nightly`: is what is in production still what was judged?

A version whose model, data, protocol and policy are those of a stored evaluation is not evaluated again: some of its
images are, and must give the stored figures. Anything new is evaluated in full.
"""

import logging
import time
from dataclasses import dataclass

from prefect import flow
from sqlalchemy import Engine

from case_monitor.alerts.standing import ARTIFACT, GOOD_NEWS, OVERRIDE, REPRODUCTION, artifact_alert, reproduction_alert
from case_monitor.domain.alert import Alert
from case_monitor.domain.errors import CaseMonitorError, IncompleteError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.reproduce import Stored
from case_monitor.logs.configure import logging_about
from case_monitor.settings import Settings
from case_monitor.steps.artifacts import show_night_in_prefect
from case_monitor.steps.begin import begin
from case_monitor.steps.claims import alone_on, device_slot
from case_monitor.steps.edges.registry import read_alias
from case_monitor.steps.edges.results import fetch_stored, store_reproduction, store_seed_group
from case_monitor.steps.evaluate import evaluate_inputs
from case_monitor.steps.evidence import find_published
from case_monitor.steps.first_version import require_never_held
from case_monitor.steps.inputs import Inputs, gather
from case_monitor.steps.look_again import look_again
from case_monitor.steps.moving import complete_moves
from case_monitor.steps.notices import send_notices
from case_monitor.steps.outcomes import Night
from case_monitor.steps.requests import NightlyRequest
from case_monitor.steps.running import flow_run_id, run_flow
from case_monitor.steps.standing import standing_override_alert
from case_monitor.store import read
from case_monitor.store.open import open_store

logger = logging.getLogger("case_monitor.nightly")


@flow(name="nightly", persist_result=False)
def nightly(request: NightlyRequest) -> list[Night]:
    """Check every monitored model's version in production. One that cannot be checked does not keep the others from it.

    Raises:
        IncompleteError: some could not be checked; the others were.
    """
    settings = begin(request.config)
    names = request.models or tuple(settings.models)
    for name in names:
        settings.model(name)  # a mistyped name is answered before any work
    nights, failures = [], []
    for name in names:
        with logging_about(model=name, flow_run_id=flow_run_id()):
            try:
                nights.append(run_flow(check_production, name, request.config))
            except Exception as error:
                reason = str(error) if isinstance(error, CaseMonitorError) else f"unexpected {type(error).__name__}"
                logger.error("%s could not be checked: %s", name, reason, exc_info=logger.isEnabledFor(logging.DEBUG))
                failures.append(f"{name} ({reason})")
    if failures:
        msg = f"{len(failures)} of {len(names)} models could not be checked: {'; '.join(failures)}"
        raise IncompleteError(msg)
    return nights


@flow(name="check-production", flow_run_name="check production of {name}", persist_result=False)
def check_production(name: str, config: str | None = None) -> Night:
    """Look at one model's version in production."""
    settings = begin(config)
    with logging_about(model=name, flow_run_id=flow_run_id()):
        holder = read_alias(settings, name)
        engine = open_store(settings.database_url.get_secret_value())
        try:
            if holder is None:
                require_never_held(engine, settings.alias, name)
                logger.warning("no version of %s holds alias %s: nothing to check", name, settings.alias)
                return Night(model=name, version=None)
            with logging_about(version=holder):
                complete_moves(settings, engine, name, holder)
                return _check(settings, engine, name, holder)
        finally:
            engine.dispose()


def _check(settings: Settings, engine: Engine, name: str, holder: int) -> Night:
    ref = ModelRef(name=name, version=holder)
    with alone_on(engine, f"evaluation of {ref}"):
        inputs = gather(settings, engine, ref)
        published = find_published(settings, engine, inputs)
        stored: Stored | None = fetch_stored(engine, published) if published else None
        if published and stored:
            with logging_about(evaluation_id=published.id):
                return _look_again(settings, engine, inputs, published, stored)
        outcome = evaluate_inputs(settings, engine, inputs)
    return Night(
        model=name,
        version=holder,
        evaluation_id=outcome.evaluation_id,
        verdict=outcome.verdict,
        alerts=outcome.alerts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenAgain:
    """A stored evaluation, for the alerts of the night that looked at it again."""

    model: ModelVersion
    baseline: ModelVersion | None
    class_names: tuple[str, ...]
    policy: Policy
    summaries: tuple[MetricSummary, ...]
    verdict: Verdict
    alerts: tuple[Alert, ...]
    looked_at: frozenset[str] = frozenset({ARTIFACT, REPRODUCTION, OVERRIDE})


def _look_again(
    settings: Settings, engine: Engine, inputs: Inputs, published: read.StoredEvaluation, stored: Stored
) -> Night:
    started = time.perf_counter()
    with device_slot(engine, settings, inputs.device):
        found: Reproduction = look_again(inputs, stored, settings.reproduction_images)
    version = inputs.candidate.version
    standing = (
        artifact_alert(version, inputs.first_digest),
        reproduction_alert(version, found),
        standing_override_alert(engine, settings.alias, version),
    )
    seen = _SeenAgain(
        model=version,
        baseline=None,
        class_names=inputs.candidate.split.class_names,
        policy=inputs.policy,
        summaries=read.load_summaries(engine, published.id),
        verdict=read.load_verdict(engine, published.id),
        alerts=(
            *(alert for alert in read.load_alerts(engine, published.id) if alert.rule not in GOOD_NEWS),
            *(alert for alert in standing if alert),
        ),
    )
    seconds = time.perf_counter() - started
    store_reproduction(engine, published.id, found, seen, seconds, inputs.device, inputs.torch_version)
    store_seed_group(engine, version)
    send_notices(settings, engine)
    logger.info(
        "the stored figures %s again: %d images", "come out" if found.reproduced else "do not come out", found.n
    )
    show_night_in_prefect(version, found, seen.verdict, seen.alerts)
    return Night(
        model=version.name,
        version=version.version,
        evaluation_id=published.id,
        verdict=seen.verdict,
        alerts=seen.alerts,
        reproduction=found,
    )
