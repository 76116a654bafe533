"""Two writers at the same time, as threads and as processes, on both databases."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

from sqlalchemy import Engine

from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.store.connection import connect
from case_monitor.store.read.verdicts import load_verdict
from case_monitor.store.write import record_promotion, save_evaluation
from tests.support.factories import an_evaluation
from tests.support.rows import counts, rows_of

WRITERS = 4


def save_often(url: str, seed: int) -> set[int]:
    """What each of the processes does."""
    engine = connect(url)
    ids = {save_evaluation(engine, an_evaluation(seed=seed, num_samples=40 + 10 * seed)) for _ in range(5)}
    engine.dispose()
    return ids


def assert_one_whole_evaluation(engine: Engine) -> None:
    """What one of the writers wrote, all of it and nothing else."""
    [row] = rows_of(engine, "evaluations")
    seed = (row["split_size"] - 40) // 10
    written = an_evaluation(seed=seed, num_samples=row["split_size"])
    found = counts(engine)
    assert found["model_versions"] == 1
    assert found["metric_summaries"] == len(written.summaries)
    assert found["sample_scores"] == len(written.scores.sample_ids) * len(written.scores.values)
    assert tuple(r["sample_id"] for r in rows_of(engine, "samples")) == written.scores.sample_ids
    assert [r["confidence"] for r in rows_of(engine, "samples")] == written.scores.confidence.tolist()
    assert sum(r["count"] for r in rows_of(engine, "confusion_cells")) == row["split_size"]


def test_threads_that_save_the_same_key(engine: Engine) -> None:
    barrier = Barrier(WRITERS)

    def save(seed: int) -> int:
        barrier.wait()
        return save_evaluation(engine, an_evaluation(seed=seed, num_samples=40 + 10 * seed))

    with ThreadPoolExecutor(WRITERS) as pool:
        ids = set(pool.map(save, range(WRITERS)))
    assert len(ids) == 1
    assert_one_whole_evaluation(engine)


def test_processes_that_save_the_same_key(engine: Engine, database_url: str) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        ids = list(pool.map(save_often, [database_url] * 2, range(2)))
    assert ids[0] == ids[1] == {rows_of(engine, "evaluations")[0]["id"]}
    assert_one_whole_evaluation(engine)


def test_threads_that_save_different_versions(engine: Engine) -> None:
    barrier = Barrier(WRITERS)

    def save(version: int) -> int:
        barrier.wait()
        return save_evaluation(engine, an_evaluation(version=version, num_samples=40))

    with ThreadPoolExecutor(WRITERS) as pool:
        ids = list(pool.map(save, range(1, WRITERS + 1)))
    assert len(set(ids)) == counts(engine)["evaluations"] == WRITERS


def test_threads_that_record_the_same_promotion_while_it_is_saved_again(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    barrier = Barrier(WRITERS + 1)

    def record(_: int) -> int:
        barrier.wait()
        return record_promotion(
            engine,
            Promotion(
                model_name="digits",
                alias="champion",
                version=1,
                previous_version=None,
                decision=Decision.KEPT,
                evaluation_id=evaluation_id,
                reason="",
            ),
        )

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        ids = pool.map(record, range(WRITERS))
        barrier.wait()
        assert save_evaluation(engine, an_evaluation()) == evaluation_id
        assert len(set(ids)) == counts(engine)["promotions"] == 1


def test_a_reader_never_sees_half_of_an_evaluation(engine: Engine) -> None:
    """Verdict and results change together; a reader sees both before or both after."""
    failed, passed = an_evaluation(status=Status.FAIL), an_evaluation(status=Status.PASS)
    twice = replace(passed.verdict, results=passed.verdict.results * 2)
    versions = (failed, replace(passed, verdict=twice))
    evaluation_id = save_evaluation(engine, failed)

    def write() -> None:
        for i in range(6):
            save_evaluation(engine, versions[(i + 1) % 2])

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        seen = [load_verdict(engine, evaluation_id)]
        while not writer.done():
            seen.append(load_verdict(engine, evaluation_id))
        writer.result()
    assert {(v.status, len(v.results)) for v in seen} <= {(Status.FAIL, 1), (Status.PASS, 2)}
    assert len(seen) > 2
