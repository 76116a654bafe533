"""An evaluation on a local Ray cluster of several processes, of which one is killed while it works."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prefect import flow

from case_monitor.domain.errors import ModelError
from case_monitor.domain.findings import Findings
from case_monitor.domain.isolation import Isolation
from case_monitor.measuring_process.local import LocalImages
from case_monitor.registry.loading import RegisteredModel
from case_monitor.settings import RayEngine, ThreadsEngine
from case_monitor.steps.evaluate import measure
from case_monitor.steps.inputs import Inputs, Prepared
from case_monitor.steps.ray_workers import open_ray
from tests.steps.test_shards import assert_equal_to_the_last_bit
from tests.steps.test_trial import POLICY, PROTOCOL, trained, version
from tests.support.diary import SIZE, Diary
from tests.support.models_here import loaded_here, saved
from tests.support.sources import TensorSource, a_split, blobs

RAY = RayEngine(kind="ray", workers=2, shard_size=32)
QUICK = replace(PROTOCOL, sample_size=24)


def kill_the_victim(folder: Path) -> None:
    for _ in range(3000):
        with suppress(FileNotFoundError, ValueError):
            pid = int((folder / "victim").read_text())
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.1)


def registered(model: Any, n: int) -> RegisteredModel:
    return RegisteredModel(
        version=version(n),
        files=saved(model, f"model {version(n)}"),
        class_names=None,
        preprocessing=None,
        input_shape=None,
        target_layer=None,
    )


def prepared(model: Any, n: int, source: Any, num_classes: int = 4) -> Prepared:
    split = a_split(num_classes, SIZE)
    images = LocalImages(split=split, source=source)
    return Prepared(registered=registered(model, n), split=split, images=images, preprocessing=None)


def inputs(source: TensorSource, engine: Any, num_classes: int = 4) -> Inputs:
    return Inputs(
        candidate=prepared(trained(4), 2, source, num_classes),
        baseline=prepared(trained(4, seed=1), 1, source, num_classes),
        in_production=False,
        first_digest=None,
        notes=(),
        policy=POLICY,
        protocol=QUICK,
        device="cpu",
        torch_version=torch.__version__,
        engine=engine,
        isolation=Isolation(readable=(Path(__file__).parents[2],)),
    )


_to_measure: list[Inputs] = []


@flow(name="measure-only", persist_result=False)
def measured() -> Findings:
    """Not a closure over the inputs: a flow goes with every shard."""
    return measure(_to_measure[-1], {})


def run(of: Inputs) -> Findings:
    _to_measure.append(of)
    try:
        return measured()
    finally:
        _to_measure.pop()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As many as Ray gives to a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cluster(prefect_server: None) -> Iterator[None]:
    """One for all tests: `measure` takes what this process is connected to."""
    with open_ray(RAY):
        yield


def test_a_killed_worker_changes_nothing(cluster: None, tmp_path: Path) -> None:
    expected = run(inputs(blobs(SIZE, (0, 1, 2, 3), noise=0.9), ThreadsEngine()))
    killer = threading.Thread(target=kill_the_victim, args=[tmp_path])
    killer.start()
    found = run(inputs(Diary(tmp_path, wait_at=64), RAY))
    killer.join()
    assert_equal_to_the_last_bit(found, expected)
    arrived = {int(file.name.split("-")[1]): file.read_text() for file in tmp_path.glob("arrived-*")}
    victim = int((tmp_path / "victim").read_text())
    assert os.getpid() not in arrived
    assert victim in arrived
    assert len(arrived) >= 3  # two, and the one that came for the victim
    assert set(arrived.values()) == {"once\n"}  # for all jobs and shards


def test_what_is_wrong_with_a_model_is_said_as_in_one_process(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"data set has 5, the model returns \(4,\)"):
        run(inputs(Diary(tmp_path, wait_at=None), RAY, num_classes=5))


def test_a_graph_is_sent_as_its_files(cluster: None, tmp_path: Path) -> None:
    of = inputs(Diary(tmp_path, wait_at=None), RAY)
    model = loaded_here(of.candidate.registered)
    source = of.candidate.images.source
    sizes = {"images": {0: torch.export.Dim("batch", min=1, max=64)}}
    graph = torch.export.export(model, (source.images[:2],), dynamic_shapes=sizes)
    found = run(replace(of, candidate=prepared(graph, 2, source)))
    expected = run(of)
    np.testing.assert_allclose(found.evaluation.preds.confidence, expected.evaluation.preds.confidence, rtol=1e-5)
