"""Shards on a Ray cluster. Each is a Prefect task in a worker process; a lost worker's shard is done by another."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

import ray
import torch
from prefect import flow, get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options

from case_monitor.domain.errors import CaseMonitorError, ConfigError, EngineError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.logs.foreign_errors import short_message
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.threads import in_order
from case_monitor.measuring.workers.work import ShardWork
from case_monitor.settings import RayEngine
from case_monitor.steps.ray_parts import Packed, Parts

T = TypeVar("T")

_LOST_WORKERS = 3  # how often a shard is done again after its worker was lost
_AHEAD = 2  # shards per worker that are submitted before they are asked for


def _may_pass(_task: object, _run: object, state: State[object]) -> bool:
    """Whether to try again: what this package says on purpose will be said again."""
    try:
        state.result()
    except CaseMonitorError:
        return False
    except Exception:
        return True
    return False


@task(
    name="shard",
    task_run_name="{stage}: shard {number} of {total}",
    retries=1,
    retry_condition_fn=_may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_shard(packed: Packed, shard: Shard, stage: str, number: int, total: int) -> object:  # noqa: ARG001 - its name
    """Work on one shard, in a worker."""
    work = packed.opened()
    with foreign_code("a model on Ray"):
        [result] = work.run([shard], lambda _done: None)
    return result


class RayWorkers:
    """`Workers`: worker processes of a Ray cluster, through Prefect."""

    def __init__(self, runner: Any, spec: RayEngine, api_url: str) -> None:
        self._runner, self._spec, self._api_url = runner, spec, api_url
        self._parts = Parts()

    def map(self, work: ShardWork[T], shards: Sequence[Shard], report: Callable[[int], None]) -> Generator[T]:
        packed = self._parts.pack(work)
        begun: dict[int, ray.ObjectRef[Any]] = {}

        def start(place: int) -> "Future[State[T]]":
            begun[place] = self._submit(packed, work.name, shards[place], len(shards))
            future: Future[State[T]] = begun[place].future()
            return future

        done = 0
        try:
            for place, state in enumerate(in_order(len(shards), _AHEAD * self._spec.workers, start)):
                del begun[place]  # and with it the cluster's copy of the result
                result: T = state.result()
                done += len(shards[place])
                report(done)
                yield result
        except ray.exceptions.RayError as error:
            raise EngineError(f"engine: {work.name}: a shard was lost on Ray: {short_message(error)}") from error
        finally:
            for reference in begun.values():
                ray.cancel(reference)

    def _submit(self, packed: Packed, stage: str, shard: Shard, total: int) -> "ray.ObjectRef[Any]":
        parameters = {"packed": packed, "shard": shard, "stage": stage, "number": shard.number + 1, "total": total}
        options = {
            "num_cpus": 1,
            "num_gpus": self._spec.num_gpus,
            "max_retries": _LOST_WORKERS,
            "max_calls": 0,  # with GPUs, Ray would end the worker after one shard, and its models with it
        }
        with remote_options(**options), temporary_settings({PREFECT_API_URL: self._api_url}):
            reference: ray.ObjectRef[Any] = (
                _light_context().run(self._runner.submit, run_shard, parameters).wrapped_future
            )
            return reference


@flow(name="shards")
def _no_flow() -> None:
    """Stands for the flow whose run a shard belongs to."""


def _light_context() -> Context:
    """The flow run, as far as shards need it.

    Prefect sends with every task the code of the flow, whose imports take longer than many a shard, and the parameters
    of the task that it is submitted from: here models and images.
    """
    context = copy_context()
    context.run(TaskRunContext.__var__.set, cast("TaskRunContext", None))  # as outside of tasks
    run = FlowRunContext.get()
    if run:
        context.run(FlowRunContext.__var__.set, run.model_copy(update={"flow": _no_flow, "parameters": {}}))
    return context


@contextmanager
def open_ray(spec: RayEngine) -> Iterator[RayWorkers]:
    """Connect to a cluster, or start one on this machine and end it afterwards.

    Raises:
        EngineError: there is none.
        ConfigError: its workers cannot do what is asked for.
    """
    _check_gpus(spec)
    options: dict[str, object] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if spec.address == "local":
        options |= {"address": "local", "num_cpus": spec.workers, "include_dashboard": False}
    elif spec.address == "auto":  # by itself the runner takes "auto" for "local"
        options |= {"address": "auto"}
    address = None if spec.address in {"local", "auto"} else spec.address
    runner: RayTaskRunner[object] = RayTaskRunner(address=address, init_kwargs=options)
    try:
        started = runner.__enter__()
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EngineError(f"engine: no Ray cluster at {spec.address}: {short_message(error)}") from error
    try:
        yield RayWorkers(started, spec, _prefect_server(spec))
    finally:
        runner.__exit__(None, None, None)


def _check_gpus(spec: RayEngine) -> None:
    has = torch.cuda.device_count()
    if spec.address == "local" and has < spec.num_gpus:  # elsewhere, more may come when they are asked for
        msg = f"engine.num_gpus: up to {has} was expected, the GPUs of this machine; {spec.num_gpus:g} came"
        raise ConfigError(msg)


def _prefect_server(spec: RayEngine) -> str:
    """Where workers report. Without this, each would start a server of its own."""
    configured = PREFECT_API_URL.value()
    if configured:
        return str(configured)
    machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]
    if spec.address not in {"local", "auto"} or len(machines) > 1:
        msg = (
            f"engine: PREFECT_API_URL, a Prefect server that the workers of {spec.address} can reach, was expected; "
            "it is not set"
        )
        raise ConfigError(msg)
    return str(get_client(sync_client=True).api_url).rstrip("/")
