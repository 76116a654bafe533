"""`gate --wait`: a worker of the running stack does it; this process waits and tells. For CI systems without a GPU.

Prefect is imported where it is asked: a wrong argument is answered before.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from case_monitor.cli.tell import tell_gated
from case_monitor.domain.errors import ConfigError, OrchestrationError, StoreError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Promotion
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import load_settings
from case_monitor.steps.outcomes import Outcome
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.store import read
from case_monitor.store.open import open_store
from case_monitor.store.read.promotions import decision_of_run

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

_DEPLOYMENT = "promote/promote"


def run_gate_by_worker(
    model: str, config: Path | None, *, as_json: bool, fresh: bool, first: bool, timeout_s: float
) -> int:
    """Start the deployment, wait for its end, read what it stored; returns the exit code."""
    if not os.environ.get("PREFECT_API_URL"):
        raise ConfigError("PREFECT_API_URL: the URL of the Prefect server was expected with --wait, nothing came")
    ref = ModelRef.parse(model)
    if ref.version is None:
        msg = f"model: name/<version> was expected with --wait, {model!r} came: an alias may move meanwhile"
        raise ConfigError(msg)
    settings = load_settings(config)
    # The configuration file is the worker's own.
    run_id = _run(EvaluationRequest(model=model, reuse=not fresh, first=first), timeout_s)
    outcome, promotion = _stored(settings.database_url.get_secret_value(), ref, run_id)
    return tell_gated(outcome, promotion, as_json=as_json)


def _run(request: EvaluationRequest, timeout_s: float) -> str:
    """Returns the id of the flow run, which came to its end."""
    from prefect.deployments import run_deployment

    try:
        found = run_deployment(
            _DEPLOYMENT, parameters={"request": request.model_dump()}, timeout=timeout_s, poll_interval=1
        )
        run = cast("FlowRun", found)  # typed as either, and sync here
    except Exception as error:  # httpx's, and Prefect's own for a deployment that does not exist
        msg = f"deployment {_DEPLOYMENT} could not be run: {type(error).__name__}: {short_message(error)}"
        raise OrchestrationError(msg) from None
    state = run.state
    if state is None or not state.is_final():
        raise OrchestrationError(f"flow run {run.name}: its end was expected within {timeout_s:g} s; it goes on")
    if not state.is_completed():
        raise OrchestrationError(f"flow run {run.name} ended as {state.name}: {short_message(state.message or '')}")
    return str(run.id)


def _stored(url: str, ref: ModelRef, run_id: str) -> tuple[Outcome, Promotion]:
    """What the worker decided in this very run."""
    from case_monitor.steps.stored_outcome import stored_outcome  # takes a second to import: after the wait

    engine = open_store(url)
    try:
        decided = decision_of_run(engine, run_id)
        stored = {e.id: e for e in read.evaluations(engine, ref.name)}.get(decided.evaluation_id if decided else -1)
        if decided is None or stored is None or (stored.model_name, stored.version) != (ref.name, ref.version):
            msg = (
                f"the decision of flow run {run_id} on {ref} is not stored here: worker and this command use different "
                "databases; set database_url to the worker's"
            )
            raise StoreError(msg)
        outcome = stored_outcome(engine, stored, stored.baseline)
    finally:
        engine.dispose()
    return outcome, decided.promotion
