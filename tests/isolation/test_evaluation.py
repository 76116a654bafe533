"""A whole evaluation of models in processes of their own, cut into shards and shared by threads, to the last bit."""

from dataclasses import replace

import pytest

from case_monitor.demo.models import PlainCNN
from case_monitor.domain.findings import Findings
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring.local import Bench
from case_monitor.measuring.workers.threads import Threads
from tests.isolation.models import ISOLATION
from tests.steps.test_shards import assert_equal_to_the_last_bit
from tests.steps.test_trial import POLICY, PROTOCOL, loaded, trained
from tests.support.models_here import saved
from tests.support.sources import a_split, blobs
from tests.support.trial import evaluate

QUICK = replace(PROTOCOL, batch_size=4, sample_size=24, methods=("case", "gradcam"))
SIZE = 60


def run(*, confined: bool, workers: int = 1, shard_size: int = SIZE) -> Findings:
    source = blobs(SIZE, (0, 1, 2, 3), noise=0.9)

    def version(number: int, seed: int) -> object:
        model: PlainCNN = trained(4, seed=seed)
        given = loaded(number, model, a_split(4, SIZE), source)
        if not confined:
            return given
        files = saved(model, f"model m/{number}")
        return replace(given, model=lambda protocol, device: ConfinedModel(files, protocol, device, ISOLATION))

    bench = Bench(workers=Threads(workers), shard_size=shard_size)
    return evaluate(version(2, 0), version(1, 1), policy=POLICY, protocol=QUICK, bench=bench)


@pytest.fixture(scope="module")
def expected() -> Findings:
    return run(confined=False)


@pytest.mark.parametrize(("workers", "shard_size"), [(1, SIZE), (2, 8)])
def test_where_models_run_changes_no_bit(expected: Findings, workers: int, shard_size: int) -> None:
    assert_equal_to_the_last_bit(run(confined=True, workers=workers, shard_size=shard_size), expected)
