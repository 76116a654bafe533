"""A split worked through in shards gives what one pass gives, to the last bit."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from case_monitor.demo.models import PlainCNN
from case_monitor.domain.errors import ModelError
from case_monitor.domain.findings import Findings
from case_monitor.measuring.gallery import GALLERY_SIZE, WORST_SIZE
from case_monitor.measuring.local import Bench
from case_monitor.measuring.workers.shards import Shard, cut
from case_monitor.measuring.workers.threads import Threads, in_order
from tests.steps.test_trial import POLICY, PROTOCOL, figures, loaded, trained
from tests.support.sources import TensorSource, a_split, blobs
from tests.support.trial import evaluate


def assert_equal_to_the_last_bit(found: Findings, expected: Findings) -> None:
    first, second = found.evaluation, expected.evaluation
    assert repr(first.verdict) == repr(second.verdict)
    assert repr(first.alerts) == repr(second.alerts)
    assert repr(first.class_metrics) == repr(second.class_metrics)
    assert repr(first.contrast_sets) == repr(second.contrast_sets)
    assert_array_equal(first.confmat.counts, second.confmat.counts)
    assert_array_equal(first.confmat.soft, second.confmat.soft)
    for a, b in ((first.preds, second.preds), (found.baseline_preds, expected.baseline_preds)):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert asdict(a).keys() == asdict(b).keys()
            for name, values in asdict(a).items():
                assert_array_equal(values, getattr(b, name))
    assert first.scores.sample_ids == second.scores.sample_ids
    assert_array_equal(first.scores.top2, second.scores.top2)
    assert_array_equal(first.scores.confidence, second.scores.confidence)
    assert list(first.scores.values) == list(second.scores.values)
    for key, values in first.scores.values.items():
        assert_array_equal(values, second.scores.values[key], err_msg=str(key))
    a, b = figures(first), figures(second)
    assert list(a) == list(b)
    for key, row in a.items():
        assert_array_equal(row, b[key], err_msg=str(key))
    assert found.gallery.sample_ids == expected.gallery.sample_ids
    assert found.gallery.worst == expected.gallery.worst
    assert_array_equal(found.gallery.images, expected.gallery.images)
    for method, maps in expected.gallery.maps.items():
        assert_array_equal(found.gallery.maps[method], maps)


@pytest.fixture(scope="module")
def model() -> PlainCNN:
    return trained(4)


@pytest.fixture(scope="module")
def baseline() -> PlainCNN:
    return trained(4, seed=1)


@pytest.fixture(scope="module")
def source() -> TensorSource:
    """Classes 0, 1 and 3, one after the other, so that shards lack some; hard enough to be confused."""
    mixed = blobs(90, (0, 1, 3), noise=0.9)
    order = np.argsort(mixed.target, kind="stable")
    return TensorSource(mixed.images[order], mixed.target[order])


def run(model: torch.nn.Module, source: TensorSource, shards: int, workers: int = 1, **changes: Any) -> Findings:
    """Evaluate in so many shards."""
    size = len(source.sample_ids)
    baseline = changes.pop("baseline", None)
    return evaluate(
        loaded(2, model, a_split(4, size), source),
        None if baseline is None else loaded(1, baseline, a_split(4, size), source),
        policy=POLICY,
        protocol=replace(PROTOCOL, batch_size=4, **changes),
        bench=Bench(workers=Threads(workers), shard_size=-(-size // shards)),
    )


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("shards", [2, 7])
def test_neither_shards_nor_threads_change_a_bit(
    model: PlainCNN, baseline: PlainCNN, source: TensorSource, shards: int, workers: int
) -> None:
    expected = run(model, source, 1, baseline=baseline, methods=("case", "gradcam", "scorecam"))
    assert 0 < expected.evaluation.summary("accuracy").value < 1
    assert expected.gallery.worst == WORST_SIZE < len(expected.evaluation.scores.sample_ids) - GALLERY_SIZE
    found = run(model, source, shards, workers, baseline=baseline, methods=("case", "gradcam", "scorecam"))
    assert_equal_to_the_last_bit(found, expected)


def test_a_shard_without_a_correct_image_and_one_with_nan(model: PlainCNN, source: TensorSource) -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.register_buffer("marked", source.images[[17, 50]])

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = self.model(images)
            marked = (images[:, None] == self.marked).flatten(2).all(2).any(1)
            return torch.where(marked[:, None], torch.full_like(logits, float("nan")), logits)

    target = source.target.copy()
    target[:30] = 2  # which is never predicted for them
    wrong = TensorSource(source.images, target)
    expected = run(Broken(), wrong, 1, target_layer="model.features")
    assert expected.evaluation.confmat.counts.sum() == 88
    assert not (expected.evaluation.preds.preds == target)[:24].any()
    for workers in (1, 2):
        found = run(Broken(), wrong, 7, workers, target_layer="model.features")
        assert_equal_to_the_last_bit(found, expected)


def test_no_image_to_explain(source: TensorSource) -> None:
    broken = trained(4, steps=0)
    torch.nn.init.constant_(broken.head.bias, float("nan"))
    expected, found = (run(broken, source, n, n, target_layer="features") for n in (1, 3))
    assert found.evaluation.scores.sample_ids == ()
    assert_equal_to_the_last_bit(found, expected)


class Counting(TensorSource):
    """Counts how often reading begins."""

    def __init__(self, source: TensorSource) -> None:
        super().__init__(source.images, source.target)
        self.streams = 0

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[torch.Tensor]:
        self.streams += len(indices) > 2  # not the look at the first two
        yield from super().batches(indices, batch_size)


def test_one_worker_reads_one_stream_however_many_shards(model: PlainCNN, source: TensorSource) -> None:
    counting = Counting(source)
    run(model, counting, 7)
    assert counting.streams == 3  # to predict, to explain, and to show some again


def test_models_are_left_as_they_were_and_errors_come_through(model: PlainCNN, source: TensorSource) -> None:
    class Failing(TensorSource):
        def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[torch.Tensor]:
            for i, batch in enumerate(super().batches(indices, batch_size)):
                if indices[0] + i * batch_size > 60:
                    raise ModelError("image 61")
                yield batch

    training = trained(4, steps=0).train()
    before = torch.get_num_threads()
    for workers in (1, 2):
        with pytest.raises(ModelError, match="image 61"):
            run(training, Failing(source.images, source.target), 7, workers)
        assert all(m.training and not m._forward_hooks for m in training.modules())
        assert all(p.requires_grad and p.is_contiguous() for p in training.parameters())
    assert torch.get_num_threads() == before


class Secretive(torch.nn.Module):
    """Its copies answer otherwise, or there are none."""

    def __init__(self, model: torch.nn.Module, copied: Callable[[], torch.nn.Module]) -> None:
        super().__init__()
        self.model, self._copied = model, copied

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images)

    def __deepcopy__(self, memo: object) -> torch.nn.Module:
        return self._copied()


def test_a_copy_that_is_none_is_refused(model: PlainCNN, baseline: PlainCNN, source: TensorSource) -> None:
    def fails() -> torch.nn.Module:
        raise TypeError("cannot pickle a socket")

    for copied, words in ((fails, "cannot pickle a socket"), (lambda: baseline, "returns other logits")):
        secretive = Secretive(model, copied)
        with pytest.raises(ModelError, match=f"{words}; use one worker, or kind ray"):
            run(secretive, source, 7, 2, target_layer="model.features")
        run(secretive, source, 7, 1, target_layer="model.features")


@given(total=st.integers(0, 200), size=st.integers(1, 60), batch=st.integers(1, 20))
def test_shards_are_whole_batches_and_cover_everything_once(total: int, size: int, batch: int) -> None:
    shards = cut(total, size, batch)
    assert [i for shard in shards for i in range(shard.start, shard.stop)] == list(range(total))
    assert all(shard.start % batch == 0 and len(shard) > 0 for shard in shards)
    assert all(size <= len(shard) < size + batch for shard in shards[:-1])
    assert [shard.number for shard in shards] == list(range(len(shards)))


class Slow:
    """A job whose first shards take longest."""

    name = "slow"
    parts = ()

    def __init__(self) -> None:
        self.begun: list[int] = []

    def run(self, shards: Sequence[Shard], report: Callable[[int], None]) -> Iterator[int]:
        for shard in shards:
            self.begun.append(shard.number)
            time.sleep(0.05 if shard.number < 2 else 0)
            report(len(shard))
            yield shard.number

    def apart(self) -> "Slow":
        return self


def test_results_come_in_order_few_are_held_and_progress_ends_at_all() -> None:
    job, told = Slow(), []
    results = Threads(2).map(job, cut(100, 5, 1), told.append)
    seen = []
    for number in results:
        seen.append(number)
        assert len(job.begun) <= len(seen) + 4
    assert seen == list(range(20))
    assert told[-1] == 100
    assert told == sorted(told)


def test_nothing_more_begins_once_the_caller_has_enough() -> None:
    job = Slow()
    results = Threads(2).map(job, cut(100, 5, 1), lambda _: None)
    assert next(results) == 0
    results.close()
    assert len(job.begun) <= 5


def test_fewer_shards_than_would_be_begun_ahead() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert list(in_order(2, 8, lambda i: pool.submit(lambda: i))) == [0, 1]
        assert list(in_order(0, 8, lambda i: pool.submit(lambda: i))) == []
