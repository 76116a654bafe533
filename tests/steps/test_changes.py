"""What has changed since the version in production was evaluated, and what is not alike, in words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.split import Split
from case_monitor.settings import Preprocessing
from case_monitor.steps.changes import between, since_evaluated
from case_monitor.store.read.evaluations import StoredEvaluation, latest_evaluation
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation

THEN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def now() -> Split:
    return Split(
        name="val", digest="a", class_names=("cat", "dog"), size=3, images_digest="images", labels_digest="labels"
    )


@pytest.fixture
def stored(engine: Engine, now: Split) -> StoredEvaluation:
    """As the database gives it back."""
    evaluation = an_evaluation()
    save_evaluation(engine, replace(evaluation, split=replace(evaluation.split, images_digest="i", labels_digest="l")))
    found = latest_evaluation(engine, evaluation.model.name, evaluation.model.version)
    assert found is not None
    assert (found.images_digest, found.labels_digest) == ("i", "l")
    known = {"images_digest": "images", "labels_digest": "labels", "class_names": ("cat", "dog")}
    return replace(found, updated_at=THEN, split_digest="b", split_size=5, **known)


def said(stored: StoredEvaluation | None, now: Split) -> list[str]:
    return list(since_evaluated(stored, now))


def test_nothing_is_said_where_nothing_changed(stored: StoredEvaluation, now: Split) -> None:
    assert said(None, now) == []
    assert said(replace(stored, split_digest=now.digest), now) == []


def test_images(stored: StoredEvaluation, now: Split) -> None:
    [sentence] = said(stored, replace(now, images_digest="others", labels_digest="others"))
    assert sentence == (
        f"The images of 'val' have changed since {stored.model}, in production, was evaluated on 2026-03-01: "
        "there were 5, there are 3."
    )


def test_labels(stored: StoredEvaluation, now: Split) -> None:
    [sentence] = said(stored, replace(now, labels_digest="by the candidate itself"))
    assert sentence.startswith("The labels of 'val' have changed since")
    assert sentence.endswith("the images are the same.")


def test_preprocessing(stored: StoredEvaluation, now: Split) -> None:
    [sentence] = said(stored, now)
    assert sentence.startswith("The preprocessing of 'val' for")
    assert said(stored, replace(now, class_names=("dog", "cat"))) == []  # the order alone: said elsewhere


def test_an_older_package_did_not_note_which(stored: StoredEvaluation, now: Split) -> None:
    [sentence] = said(replace(stored, images_digest=None, labels_digest=None), now)
    assert sentence.startswith("The images of 'val', their labels or their preprocessing have changed since")


def test_two_versions(now: Split) -> None:
    new, old = (ModelVersion(name="pets", version=n, run_id=None, digest=str(n)) for n in (2, 1))
    half, zero = (Preprocessing(mean=(m,), std=(0.5,)) for m in (0.5, 0.0))
    assert list(between(new, now, half, old, now, half)) == []
    other = replace(now, class_names=("dog", "cat"))
    preparation, order = between(new, now, half, old, other, zero)
    assert preparation == (
        "pets/2 and pets/1, in production, prepare images differently, and each got its own: mean (0.5,) and (0.0,)."
    )
    assert order == "pets/2 and pets/1, in production, order their classes differently: they are paired by name."
    [only] = between(new, now, half, old, now, None)
    assert "mean (0.5,) and None" in only
