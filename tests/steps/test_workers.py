"""The engine that the configuration names, and what is answered where it cannot be had."""

import sys

import pytest
import torch

from case_monitor.domain.errors import ConfigError
from case_monitor.measuring.workers.threads import Threads
from case_monitor.settings import RayEngine, ThreadsEngine
from case_monitor.steps.workers import device_for, open_workers


def test_threads_need_nothing() -> None:
    with open_workers(ThreadsEngine(workers=3)) as engine:
        assert isinstance(engine, Threads)


@pytest.mark.parametrize("missing", ["ray", "prefect_ray"])
def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("case_monitor.steps.ray_workers", "case_monitor.steps.ray_parts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with (
        pytest.raises(ConfigError, match=rf"needs the extra ray of case-monitor \({missing} is not installed\)"),
        open_workers(RayEngine(kind="ray")),
    ):
        pass


def test_more_gpus_than_there_are_is_answered_before_a_cluster_is_started() -> None:
    has = torch.cuda.device_count()
    with (
        pytest.raises(ConfigError, match=rf"num_gpus: up to {has}.*{has + 1} came"),
        open_workers(RayEngine(kind="ray", num_gpus=has + 1)),
    ):
        pass


def test_on_a_cluster_the_device_is_what_its_shards_are_given() -> None:
    assert device_for("cpu", ThreadsEngine()) == "cpu"
    assert device_for("auto", RayEngine(kind="ray")) == "cpu"
    assert device_for("auto", RayEngine(kind="ray", num_gpus=0.5)) == "cuda"
    with pytest.raises(ConfigError, match=r"auto or cpu was expected with engine.num_gpus 0, 'cuda' came"):
        device_for("cuda", RayEngine(kind="ray"))
