"""Flows and their steps: runs and tasks of Prefect where a server is configured, plain calls where none is.

A server of one command's own takes longer to start than most of what it would record, and on a busy machine longer
than Prefect waits for it. What a run leaves for people is in the results database and in MLflow in either case.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.utilities.annotations import quote
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_chain, wait_fixed

from case_monitor.domain.errors import NotFoundError, RegistryError, StoreError
from case_monitor.steps.masked_errors import masking_errors

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_S = (1, 4, 15)

_run_id: ContextVar[str | None] = ContextVar("case_monitor_run_id", default=None)


def in_prefect() -> bool:
    """Whether this is called within a flow run that Prefect knows of."""
    return FlowRunContext.get() is not None


def flow_run_id() -> str | None:
    """Of the flow that calls, in Prefect; None where Prefect has none."""
    return str(flow_run.id) if flow_run.id else None


def run_id() -> str:
    """Of the flow that calls, which is the same when one of its steps is tried again; outside of flows a new one."""
    return flow_run_id() or _run_id.get() or str(uuid.uuid4())


def run_flow(flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a flow: as a run of Prefect where there is a server to tell, else as the function that it is."""
    if in_prefect() or PREFECT_API_URL.value():
        return flow(*args, **kwargs)
    with _named_run():
        return flow.fn(*args, **kwargs)


@contextmanager
def _named_run() -> Iterator[None]:
    token = _run_id.set(_run_id.get() or str(uuid.uuid4()))
    try:
        yield
    finally:
        _run_id.reset(token)


def step(name: str, *, retried: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A step of a flow. Nothing is cached: results are models and images, and the database knows what is done.

    Args:
        name: for people.
        retried: it touches the outside world: it is tried again where that can help. What computes is not, since the
            same numbers would come out.
    """
    retries = {"retries": len(RETRY_DELAYS_S), "retry_delay_seconds": list(RETRY_DELAYS_S)} if retried else {}

    def decorate(run: Callable[P, R]) -> Callable[P, R]:
        masking = masking_errors(run)
        as_task: Any = task(
            name=name,
            **cast("dict[str, Any]", retries),
            retry_condition_fn=_state_may_pass,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(masking)

        @wraps(run)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if in_prefect():
                # quote: Prefect would walk through models and images in search of futures.
                result: R = as_task(*map(quote, args), **{key: quote(value) for key, value in kwargs.items()})
                return result
            return _trying()(masking, *args, **kwargs) if retried else masking(*args, **kwargs)

        return call

    return decorate


def _trying() -> Retrying:
    return Retrying(
        stop=stop_after_attempt(1 + len(RETRY_DELAYS_S)),
        wait=wait_chain(*map(wait_fixed, RETRY_DELAYS_S)),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    """Whether to try again: a server may come back; a model that does not exist will not."""
    return isinstance(error, RegistryError | StoreError | ConnectionError | TimeoutError) and not isinstance(
        error, NotFoundError
    )


def _state_may_pass(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except Exception as error:
        return _may_pass(error)
    return False
