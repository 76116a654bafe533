"""Retention: what is old and bulky goes, and nothing else, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from sqlalchemy import Engine, update

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.status import Status
from case_monitor.store import read
from case_monitor.store.connection import writing
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.gallery import gallery_entries, gallery_image
from case_monitor.store.read.predictions import load_predictions
from case_monitor.store.read.scores import find_scores, load_scores
from case_monitor.store.tables import AlertRow, EvaluationRow
from case_monitor.store.write import mute, record_promotion, save_evaluation
from case_monitor.store.write.prune import Pruned, prune_alerts, prune_scores
from tests.support.alerting import evaluation_with, found, night
from tests.support.commands import run_cli
from tests.support.factories import METHODS, a_gallery, an_evaluation
from tests.support.rows import counts

NOW = datetime.now(UTC)
NOTHING = Pruned(evaluations=0, images=0, scores=0, pictures=0)


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def save(engine: Engine, days: int, policy_digest: str = "b" * 64, **arguments: object) -> tuple[int, Evaluation]:
    """An evaluation that was saved so many days ago."""
    evaluation = an_evaluation(**arguments)  # type: ignore[arg-type]
    provenance = replace(evaluation.provenance, policy_digest=policy_digest)
    evaluation = replace(evaluation, provenance=provenance)
    evaluation_id = save_evaluation(engine, evaluation, gallery=a_gallery(evaluation))
    with writing(engine) as connection:
        aged = update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(updated_at=days_ago(days))
        connection.execute(aged)
    return evaluation_id, evaluation


def size(*evaluations: Evaluation) -> Pruned:
    return Pruned(
        evaluations=len(evaluations),
        images=sum(len(e.scores.sample_ids) for e in evaluations),
        scores=sum(len(values) for e in evaluations for values in e.scores.values.values()),
        pictures=len(evaluations) * 4 * (1 + 2 * len(METHODS)),
    )


def test_old_scores_go_and_all_else_stays(engine: Engine) -> None:
    old, evaluation = save(engine, 100)
    recent, _ = save(engine, 80, "c" * 64)
    latest, _ = save(engine, 1, "d" * 64)
    promotion = Promotion(
        model_name="digits",
        alias="champion",
        version=1,
        previous_version=None,
        decision=Decision.WITHHELD,
        evaluation_id=old,
        reason="as it was",
    )
    record_promotion(engine, promotion)
    before = counts(engine)
    summaries, verdict = read.load_summaries(engine, old), read.load_verdict(engine, old)

    assert prune_scores(engine, days_ago(90), dry_run=True) == size(evaluation)
    assert counts(engine) == before
    assert prune_scores(engine, days_ago(90)) == size(evaluation)
    assert prune_scores(engine, days_ago(90)) == NOTHING

    gone = {
        "samples": before["samples"] * 2 // 3,
        "sample_scores": before["sample_scores"] * 2 // 3,
        "gallery_images": 2 * 4,
        "gallery_maps": 2 * 4 * 2 * len(METHODS),
        "predictions": 2,
    }
    assert counts(engine) == before | gone
    assert load_scores(engine, old) is None
    assert (gallery_entries(engine, old), gallery_image(engine, old, 0)) == ((), None)
    assert load_predictions(engine, old) is None
    for kept in (recent, latest):
        assert load_scores(engine, kept) is not None
        assert len(gallery_entries(engine, kept)) == 4
        assert load_predictions(engine, kept) is not None
    assert repr(read.load_summaries(engine, old)) == repr(summaries)
    assert read.load_verdict(engine, old) == verdict
    assert read.load_contrast_sets(engine, old) == evaluation.contrast_sets


def test_the_latest_evaluation_of_each_version_is_kept_however_old(engine: Engine) -> None:
    first, evaluation = save(engine, 900, version=1)
    second, _ = save(engine, 800, "c" * 64, version=1)
    alone, _ = save(engine, 950, version=2)
    other, _ = save(engine, 999, name="letters")
    assert prune_scores(engine, days_ago(0)) == size(evaluation)
    assert [load_scores(engine, i) is None for i in (first, second, alone, other)] == [True, False, False, False]


def test_one_that_explained_nothing_keeps_its_predictions_no_longer_than_others(engine: Engine) -> None:
    evaluation = an_evaluation()
    with_none = replace(
        evaluation,
        scores=SampleScores(
            sample_ids=(), target=np.empty(0, int), top2=np.empty(0, int), confidence=np.empty(0), values={}
        ),
    )
    old = save_evaluation(engine, with_none)
    save(engine, 1, "c" * 64)
    with writing(engine) as connection:
        aged = update(EvaluationRow).where(EvaluationRow.id == old).values(updated_at=days_ago(100))
        connection.execute(aged)
    assert prune_scores(engine, days_ago(90)) == replace(NOTHING, evaluations=1)
    assert load_predictions(engine, old) is None
    assert prune_scores(engine, days_ago(90)) == NOTHING


def test_of_two_saved_at_the_same_time_one_is_the_latest(engine: Engine) -> None:
    for digest in ("b" * 64, "c" * 64):
        save(engine, 100, digest)
    assert prune_scores(engine, days_ago(90)).evaluations == 1
    assert prune_scores(engine, days_ago(90)) == NOTHING


def test_scores_are_found_in_the_last_evaluation_that_has_some(engine: Engine) -> None:
    """The version's latest evaluation is under another protocol, so that both of this one may be pruned."""
    save(engine, 200, seed=1)
    _, second = save(engine, 100, "c" * 64, seed=2)
    other = replace(second, provenance=replace(second.provenance, protocol_digest="f" * 64))
    save_evaluation(engine, other)
    digests = (second.model.digest, second.split.digest, second.provenance.protocol_digest)
    prune_scores(engine, days_ago(150))
    [scores] = find_scores(engine, *digests).values()
    assert scores.sample_ids == second.scores.sample_ids
    prune_scores(engine, days_ago(90))
    assert find_scores(engine, *digests) == {}


def test_what_was_pruned_is_saved_again_whole(engine: Engine) -> None:
    old, evaluation = save(engine, 100)
    save(engine, 1, "c" * 64)
    prune_scores(engine, days_ago(90))
    assert save_evaluation(engine, evaluation) == old
    scores = load_scores(engine, old)
    assert scores is not None
    assert scores.sample_ids == evaluation.scores.sample_ids
    assert prune_scores(engine, days_ago(90)) == NOTHING  # it is as new as its last saving


def test_one_that_is_saved_while_it_is_about_to_be_pruned_keeps_its_scores(engine: Engine) -> None:
    old, _ = save(engine, 100)
    save(engine, 1, "c" * 64)
    results: list[Pruned] = []
    thread = Thread(target=lambda: results.append(prune_scores(engine, days_ago(90))))
    with writing(engine) as connection:
        # What a check does first: its row is locked, and new as soon as it commits.
        touched = update(EvaluationRow).where(EvaluationRow.id == old).values(updated_at=NOW)
        connection.execute(touched)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(30)
    assert results == [NOTHING]
    assert load_scores(engine, old) is not None


def test_alerts_resolved_long_ago_go_with_their_notices(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(found(), found("muted")), night(1))
    [muted] = [alert.id for alert in load_alert_lives(engine) if alert.rule == "muted"]
    mute(engine, muted, NOW + timedelta(days=1), "known", "Ann")
    save_evaluation(engine, evaluation_with(found(status=Status.PASS), found("muted", Status.PASS)), night(2))
    save_evaluation(engine, evaluation_with(found("new")), night(3))
    with writing(engine) as connection:
        resolved = update(AlertRow).where(AlertRow.resolved_at.is_not(None))
        connection.execute(resolved.values(resolved_at=days_ago(400)))
    before = counts(engine)

    assert prune_alerts(engine, days_ago(500)) == 0
    assert prune_alerts(engine, days_ago(365), dry_run=True) == 1
    assert counts(engine) == before
    assert prune_alerts(engine, days_ago(365)) == 1
    assert sorted(alert.rule for alert in load_alert_lives(engine, resolved=True)) == ["muted", "new"]
    after = counts(engine)
    assert after["alert_notices"] < before["alert_notices"]
    assert after["alert_observations"] == before["alert_observations"]


def test_the_command(engine: Engine, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "case-monitor.yaml").write_text(f"database_url: '{database_url}'\n")
    _, evaluation = save(engine, 100)
    save(engine, 1, "c" * 64)
    expected = size(evaluation)
    said = f"{expected.scores} scores and 52 pictures of {expected.images} images of 1 evaluations saved before "
    tried = run_cli("db", "prune", "--keep-scores", "12w", "--dry-run", cwd=tmp_path)
    assert (tried.code, tried.out.startswith(f"Would delete {said}")) == (0, True), tried
    done = run_cli("db", "prune", "--keep-scores", "12w", "--keep-alerts", "365d", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith(f"Deleted {said}")
    assert done.out.splitlines()[1].startswith("Deleted 0 alerts resolved before ")
    assert counts(engine)["samples"] == expected.images


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--keep-scores or --keep-alerts was expected"),
        (
            ("--keep-scores", "3 months"),
            "--keep-scores: days or weeks such as 90d or 12w were expected, '3 months' came",
        ),
        (("--keep-scores", "90"), "'90' came"),
        (("--keep-scores", "-1d"), "'-1d' came"),
        (("--keep-scores", "123456w"), "'123456w' came"),
        (("--keep-alerts", "٣d"), "--keep-alerts: days or weeks"),
    ],
)
def test_a_time_that_is_none(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    ran = run_cli("db", "prune", *arguments, cwd=tmp_path)
    assert ran.code == 2
    assert words in ran.err
    assert list(tmp_path.iterdir()) == []
