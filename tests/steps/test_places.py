"""The place and the engine that the configuration names, and what is answered where they cannot be had."""

import sys

import pytest
import torch

from case_monitor.domain.errors import ConfigError
from case_monitor.measuring_process.local import LocalPlace
from case_monitor.measuring_process.place import Way
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.settings import FunctionSplit, NpzSplit, RayEngine, ThreadsEngine
from case_monitor.steps.places import device_at, place_for
from case_monitor.steps.ray_measurers import open_ray_bench

SPLIT = NpzSplit(kind="npz", path="val.npz")
LOCAL = LocalPlace()


@pytest.mark.parametrize("missing", ["ray", "prefect_ray"])
def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("ray_measurers", "ray_workers", "ray_parts"):
        monkeypatch.delitem(sys.modules, f"case_monitor.steps.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=rf"needs the extra ray of case-monitor \({missing} is not installed\)"):
        place_for(RayEngine(kind="ray"), SPLIT)


def test_more_gpus_than_there_are_is_answered_before_a_cluster_is_started() -> None:
    has = torch.cuda.device_count()
    with (
        pytest.raises(ConfigError, match=rf"num_gpus: up to {has}.*{has + 1} came"),
        open_ray_bench(RayEngine(kind="ray", num_gpus=has + 1), Way()),
    ):
        pass


def test_only_ray_measures_in_this_process() -> None:
    for split in (SPLIT, FunctionSplit(kind="function", function="a.b:c")):
        assert isinstance(place_for(ThreadsEngine(), split), RemotePlace)
        assert isinstance(place_for(RayEngine(kind="ray"), split), LocalPlace)


def test_on_a_cluster_the_device_is_what_its_shards_are_given() -> None:
    assert device_at(LOCAL, "cpu", ThreadsEngine()) == "cpu"
    assert device_at(LOCAL, "auto", RayEngine(kind="ray")) == "cpu"
    assert device_at(LOCAL, "auto", RayEngine(kind="ray", num_gpus=0.5)) == "cuda"
    with pytest.raises(ConfigError, match=r"auto or cpu was expected with engine.num_gpus 0, 'cuda' came"):
        device_at(LOCAL, "cuda", RayEngine(kind="ray"))
