"""The gallery and the predictions, into the database and out of it, on both databases."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine

from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import PredictedClasses
from case_monitor.store.read.gallery import GalleryEntry, gallery_entries, gallery_image, gallery_map
from case_monitor.store.read.predictions import load_predictions
from case_monitor.store.write import save_evaluation
from case_monitor.store.write.pictures import map_png
from tests.support.factories import METHODS, a_gallery, an_evaluation
from tests.support.rows import counts

HOSTILE = "../<script>'; DROP TABLE gallery_maps; -- %s 日本語\n"


def with_shown(evaluation: Evaluation, *places: int) -> Gallery:
    """A gallery of the images at these places of the sample."""
    gallery = a_gallery(evaluation, rows=len(places))
    scores, taken = evaluation.scores, list(places)
    names = tuple(scores.sample_ids[i] for i in places)
    return replace(gallery, sample_ids=names, target=scores.target[taken], top2=scores.top2[taken])


def test_entries_say_what_the_scores_say(engine: Engine) -> None:
    """In the gallery's order, which is not the sample's; a degenerate agreement is None."""
    evaluation = an_evaluation()
    save_evaluation(engine, an_evaluation(version=2, seed=3), gallery=a_gallery(evaluation))
    scores = evaluation.scores
    evaluation_id = save_evaluation(engine, evaluation, gallery=with_shown(evaluation, 7, 0, 1))
    expected = []
    for position, place in enumerate((7, 0, 1)):
        agreement = {m: float(scores.values[m, "agreement"][place]) for m in METHODS}
        entry = GalleryEntry(
            position=position,
            sample_id=scores.sample_ids[place],
            target=int(scores.target[place]),
            top2=int(scores.top2[place]),
            methods=METHODS,
            agreement={m: None if np.isnan(value) else value for m, value in agreement.items()},
            confidence=float(scores.confidence[place]),
        )
        expected.append(entry)
    assert gallery_entries(engine, evaluation_id) == tuple(expected)
    assert [entry.agreement["gradcam"] for entry in expected][1] is None
    assert all(value is not None for value in expected[0].agreement.values())


def test_pictures_come_back(engine: Engine) -> None:
    evaluation = an_evaluation()
    gallery = a_gallery(evaluation)
    evaluation_id = save_evaluation(engine, evaluation, gallery=gallery)
    for position in range(4):
        png = gallery_image(engine, evaluation_id, position)
        assert png is not None
        assert (np.asarray(Image.open(io.BytesIO(png))) == gallery.images[position]).all()
        for method in METHODS:
            for rank in (1, 2):
                stored = gallery_map(engine, evaluation_id, position, method, rank)
                assert stored == map_png(gallery.maps[method][position, rank - 1])
    assert gallery_map(engine, evaluation_id, 3, "layercam", 2) != gallery_map(engine, evaluation_id, 3, "layercam", 1)


def test_what_there_is_not(engine: Engine) -> None:
    evaluation = an_evaluation()
    evaluation_id = save_evaluation(engine, evaluation)
    assert gallery_entries(engine, evaluation_id) == gallery_entries(engine, 99) == ()
    assert gallery_image(engine, evaluation_id, 0) is None
    save_evaluation(engine, evaluation, gallery=a_gallery(evaluation))
    assert gallery_image(engine, evaluation_id, 4) is None
    assert gallery_map(engine, evaluation_id, 0, "case", 3) is None
    assert gallery_map(engine, evaluation_id, 0, HOSTILE, 1) is None
    assert load_predictions(engine, 99) is None


def test_a_gallery_is_replaced_whole_and_one_that_is_not_given_is_gone(engine: Engine) -> None:
    evaluation = an_evaluation()
    evaluation_id = save_evaluation(engine, evaluation, gallery=a_gallery(evaluation, rows=6))
    few = replace(a_gallery(evaluation, rows=2), maps={"case": a_gallery(evaluation, rows=2).maps["case"]})
    assert save_evaluation(engine, evaluation, gallery=few) == evaluation_id
    assert [entry.methods for entry in gallery_entries(engine, evaluation_id)] == [("case",), ("case",)]
    assert counts(engine)["gallery_maps"] == 4
    save_evaluation(engine, evaluation)
    assert (counts(engine)["gallery_images"], counts(engine)["gallery_maps"]) == (0, 0)


def test_an_empty_gallery(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation(), gallery=Gallery.empty(METHODS))
    assert gallery_entries(engine, evaluation_id) == ()


def test_an_image_that_is_not_in_the_sample_has_no_scores(engine: Engine) -> None:
    evaluation = an_evaluation()
    gallery = replace(a_gallery(evaluation, rows=1), sample_ids=(HOSTILE,))
    [entry] = gallery_entries(engine, save_evaluation(engine, evaluation, gallery=gallery))
    assert (entry.sample_id, entry.confidence) == (HOSTILE, None)
    assert entry.agreement == dict.fromkeys(METHODS)


def test_a_failing_write_keeps_the_old_gallery(engine: Engine) -> None:
    evaluation = an_evaluation()
    evaluation_id = save_evaluation(engine, evaluation, gallery=a_gallery(evaluation))
    before = gallery_entries(engine, evaluation_id)
    broken = replace(a_gallery(evaluation, rows=1), sample_ids=("a\0b",))
    with pytest.raises(StoreError, match=r"^gallery_images\.sample_id holds NUL"):
        save_evaluation(engine, evaluation, gallery=broken)
    assert gallery_entries(engine, evaluation_id) == before


def test_predictions_come_back(engine: Engine) -> None:
    evaluation = an_evaluation()
    found = load_predictions(engine, save_evaluation(engine, evaluation))
    assert found is not None
    assert [array.dtype for array in found] == [np.int64, np.int64]
    assert found[0].tolist() == evaluation.preds.target.tolist()
    assert found[1].tolist() == evaluation.preds.preds.tolist()
    assert found[0].tolist() != found[1].tolist()


def test_predictions_of_a_large_split_are_small(engine: Engine) -> None:
    """50,000 images of 1000 classes, 80% of them right; one has no prediction."""
    rng = np.random.default_rng(0)
    target = np.sort(rng.integers(0, 1000, 50_000))
    preds = np.where(rng.random(50_000) < 0.8, target, rng.integers(0, 1000, 50_000))
    preds[17] = -1
    ids = tuple(map(str, range(50_000)))
    classes = PredictedClasses(sample_ids=ids, target=target, preds=preds, confidence=np.ones(50_000))
    evaluation = replace(an_evaluation(), preds=classes)
    evaluation_id = save_evaluation(engine, evaluation)
    found = load_predictions(engine, evaluation_id)
    assert found is not None
    assert (found[0] == target).all()
    assert (found[1] == preds).all()
    with engine.connect() as connection:
        query = "SELECT length(target) + length(preds), n FROM predictions"
        size, n = connection.exec_driver_sql(query).one()
    assert n == 50_000
    assert size < 100_000
