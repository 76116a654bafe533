"""The page of the confusion matrix, and the cells that its drawing is made of."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.dashboard.pages.confusion.read import TOP, confusion_cells, confusion_page
from case_monitor.dashboard.pages.confusion.record import ClassOrder, ConfusionQuery
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.contrast_sets import ContrastSource
from case_monitor.domain.evaluation import Evaluation
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.read.confusion import read_confusion
from case_monitor.store.read.contrast_sets import read_contrast
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation

HOSTILE = ("<script>alert(1)</script>", "a\"b'c</script><!--", "", "\u202e{{ 7 * 7 }} & x")
# Rows true: 20, 40, 10 and 0 images.
COUNTS = np.array([[10, 4, 6, 0], [1, 36, 3, 0], [0, 6, 4, 0], [0, 0, 0, 0]])


def confused(counts: np.ndarray, names: tuple[str, ...], contrast_k: int = 2) -> Evaluation:
    support = counts.sum(axis=1, keepdims=True)
    soft = np.divide(counts + 0.5, support + len(counts) / 2, out=np.full(counts.shape, np.nan), where=support > 0)
    matrix = ConfusionMatrix(counts=counts, soft=soft)
    return replace(an_evaluation(class_names=names), confmat=matrix, contrast_sets=contrast_sets(matrix, contrast_k))


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


@pytest.fixture
def evaluation_id(engine: Engine) -> int:
    return save_evaluation(engine, confused(COUNTS, HOSTILE))


def test_cells_are_the_stored_counts(engine: Engine, client: TestClient) -> None:
    rng = np.random.default_rng(0)
    n = 1000
    counts = rng.poisson(0.01, (n, n)) + np.diag(rng.integers(0, 40, n))
    names = tuple(f"class number {i}" for i in range(n))
    evaluation_id = save_evaluation(engine, confused(counts, names))
    answer = client.get(f"/evaluation/{evaluation_id}/confusion.json?order=clustered")
    assert answer.headers["content-type"] == "application/json"
    sent = answer.json()
    found = np.zeros_like(counts)
    found[sent["true"], sent["predicted"]] = sent["count"]
    assert (found == counts).all()
    assert min(sent["count"]) > 0  # sparse
    assert sent["support"] == counts.sum(axis=1).tolist()
    assert sent["names"] == list(names)
    assert sorted(sent["order"]) == list(range(n))
    assert sent["order"] != list(range(n))
    assert len(answer.content) < 300_000
    page = client.get(f"/evaluation/{evaluation_id}/confusion?class=3")
    assert len(page.content) < 1_000_000
    assert "<summary>Numbers</summary>" not in page.text


def test_without_a_choice_classes_are_in_their_own_order(
    engine: Engine, client: TestClient, evaluation_id: int
) -> None:
    assert client.get(f"/evaluation/{evaluation_id}/confusion.json").json()["order"] == [0, 1, 2, 3]
    clustered = confusion_cells(engine, evaluation_id, ClassOrder.CLUSTERED).order
    assert f"order={ClassOrder.CLUSTERED}" in client.get(f"/evaluation/{evaluation_id}/confusion?order=clustered").text
    assert sorted(clustered) == [0, 1, 2, 3]


def test_the_answer_is_kept(client: TestClient, evaluation_id: int) -> None:
    first = client.get(f"/evaluation/{evaluation_id}/confusion.json")
    again = client.get(f"/evaluation/{evaluation_id}/confusion.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_pairs_are_counted_by_hand(engine: Engine, evaluation_id: int) -> None:
    shown = confusion_page(engine, Settings(), evaluation_id, ConfusionQuery())
    assert [(p.true.idx, p.predicted.idx, p.count, p.support) for p in shown.pairs] == [
        (2, 1, 6, 10),  # of two with 6 images, the greater share first
        (0, 2, 6, 20),
        (0, 1, 4, 20),
        (1, 2, 3, 40),
        (1, 0, 1, 40),
    ]
    first = shown.pairs[0]
    assert first.share == 0.6
    # Wilson (1927), z = 1.959964: centre (6 + z²/2) / (10 + z²), half width z sqrt(0.24 / 10 + z² / 400) / (1 + z²/10).
    assert (first.ci_low, first.ci_high) == pytest.approx((0.3126738, 0.8318197), abs=1e-6)
    assert (shown.images, shown.wrong, shown.pairs_total) == (70, 20, 5)


def test_pairs_know_the_contrast_sets(engine: Engine) -> None:
    evaluation = confused(COUNTS, HOSTILE, contrast_k=1)
    evaluation_id = save_evaluation(engine, evaluation)
    shown = confusion_page(engine, Settings(), evaluation_id, ConfusionQuery())
    members = {(m.target_class, m.class_idx) for members in evaluation.contrast_sets.members for m in members}
    assert members == {(0, 2), (1, 2), (2, 1)}
    assert {(p.true.idx, p.predicted.idx) for p in shown.pairs if p.contrasted} == members


def test_only_the_first_pairs_are_shown(engine: Engine, client: TestClient) -> None:
    counts = np.full((9, 9), 1)
    counts[4, 5] = 7
    evaluation_id = save_evaluation(engine, confused(counts, tuple("abcdefghi")))
    shown = confusion_page(engine, Settings(), evaluation_id, ConfusionQuery())
    assert (len(shown.pairs), shown.pairs_total) == (TOP, 72)
    assert (shown.pairs[0].true.name, shown.pairs[0].predicted.name) == ("e", "f")
    assert "The first 50 of 72" in client.get(f"/evaluation/{evaluation_id}/confusion").text


def test_a_class_has_its_row_and_its_column(engine: Engine, evaluation_id: int) -> None:
    about = confusion_page(engine, Settings(), evaluation_id, ConfusionQuery(class_idx=1)).about_class
    assert about
    assert (about.about.idx, about.support, about.right) == (1, 40, 36)
    assert [(p.predicted.idx, p.count, p.share) for p in about.taken_for] == [(2, 3, 0.075), (0, 1, 0.025)]
    assert [(p.true.idx, p.count, p.share) for p in about.taken_from] == [(2, 6, 0.6), (0, 4, 0.2)]
    assert [(c.member.idx, c.source, c.count) for c in about.contrast] == [
        (2, ContrastSource.OBSERVED, 3),
        (0, ContrastSource.OBSERVED, 1),
    ]


def test_a_contrast_set_is_filled_up_by_probability(engine: Engine, client: TestClient, evaluation_id: int) -> None:
    about = confusion_page(engine, Settings(), evaluation_id, ConfusionQuery(class_idx=2)).about_class
    assert about
    assert [(c.member.idx, c.source, c.count, c.weight) for c in about.contrast] == [
        (1, ContrastSource.OBSERVED, 6, pytest.approx(6.5 / 12)),
        (0, ContrastSource.SOFT, 0, pytest.approx(0.5 / 12)),
    ]
    text = client.get(f"/evaluation/{evaluation_id}/confusion?class=2").text
    assert "54.17%" in text
    assert "soft" in text


def test_a_class_without_images_says_so(client: TestClient, evaluation_id: int) -> None:
    text = client.get(f"/evaluation/{evaluation_id}/confusion?class=3").text
    assert "no image of this class" in text
    assert "contrasted, image by image" in text


def test_names_are_escaped_everywhere(client: TestClient, evaluation_id: int) -> None:
    for query in ("", "?class=0", "?class=1&order=clustered", "?class=3"):
        text = client.get(f"/evaluation/{evaluation_id}/confusion{query}").text
        assert "<script>alert" not in text
        assert "</script><!--" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "class 2" in text  # a blank name
    assert client.get(f"/evaluation/{evaluation_id}/confusion.json").json()["names"] == list(HOSTILE)


def test_few_classes_are_a_table_as_well(client: TestClient, evaluation_id: int) -> None:
    text = client.get(f"/evaluation/{evaluation_id}/confusion").text
    table = text[text.index("Images; rows are true classes") :]
    rows = [re.findall(r">(\d+)</td>", row) for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", table, re.S)]
    assert [[int(cell) for cell in row[:-1]] for row in rows] == COUNTS.tolist()
    assert [int(row[-1]) for row in rows] == COUNTS.sum(axis=1).tolist()


def test_more_classes_are_none(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, confused(np.eye(31, dtype=np.int64), tuple(f"c{i}" for i in range(31))))
    text = client.get(f"/evaluation/{evaluation_id}/confusion").text
    assert "Images; rows are true classes" not in text
    assert "all 31 images are classified correctly" in text


def test_without_a_prediction_there_is_nothing_to_count(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, confused(np.zeros((4, 4), dtype=np.int64), HOSTILE))
    assert "No image has a prediction" in client.get(f"/evaluation/{evaluation_id}/confusion").text
    cells = client.get(f"/evaluation/{evaluation_id}/confusion.json?order=clustered").json()
    assert (cells["count"], cells["support"]) == ([], [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/evaluation/999/confusion", 404),
        ("/evaluation/999/confusion.json", 404),
        ("/evaluation/1/confusion?class=4", 404),
        ("/evaluation/1/confusion?class=-1", 422),
        ("/evaluation/1/confusion?class=99999999999", 422),
        ("/evaluation/1/confusion?class=cat", 422),
        ("/evaluation/1/confusion?order=name", 422),
        ("/evaluation/1/confusion.json?order=name", 422),
        ("/evaluation/0/confusion", 422),
        ("/evaluation/1/confusion?class=&order=", 200),
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, evaluation_id: int, path: str, status: int) -> None:
    assert evaluation_id == 1
    assert client.get(path).status_code == status


def test_reads_give_what_was_saved(engine: Engine, evaluation_id: int) -> None:
    confusion = read_confusion(engine, evaluation_id)
    assert confusion
    assert confusion.class_names == HOSTILE
    assert confusion.confidence_level == 0.95
    assert confusion.support.tolist() == [20, 40, 10, 0]
    assert read_confusion(engine, 999) is None
    members = read_contrast(engine, evaluation_id, {0, 2, 3})
    assert [(m.target_class, m.rank, m.class_idx) for m in members] == [(0, 0, 2), (0, 1, 1), (2, 0, 1), (2, 1, 0)]
