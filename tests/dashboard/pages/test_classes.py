"""The table of classes: what it shows, how it is sorted, filtered and paged."""

from dataclasses import replace
from math import nan
from urllib.parse import parse_qs

import numpy as np
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.dashboard.pages.classes.columns import Order
from case_monitor.dashboard.pages.classes.page import ClassesPage, ClassesQuery, Show, classes_page
from case_monitor.dashboard.shell.rendering import number, percent
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy, Rule, Severity, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import save_evaluation
from tests.support.factories import METHODS, an_evaluation

NAMES = tuple(f"class {i:03d}" for i in range(120))


@pytest.fixture
def client(engine: Engine) -> TestClient:
    return TestClient(create_app(Settings(), engine))


def large() -> Evaluation:
    """Of 120 classes whose figures are all different; every tenth has no explained image and no recall."""
    evaluation = an_evaluation(class_names=NAMES, num_samples=240)
    rng = np.random.default_rng(5)
    figures = [
        MetricSummary(
            metric=metric, method=method, class_idx=i, value=float(rng.uniform(0.1, 0.49)), n=i, n_undefined=2
        )
        for i in range(120)
        if i % 10
        for method in METHODS
        for metric in ("agreement_median", "confidence_drop_50", "confidence_drop_5")
    ]
    classes = tuple(
        replace(
            row, recall=float(rng.uniform(0.1, 1)) if row.class_idx % 10 else nan, active_channels=float(rng.random())
        )
        for row in evaluation.class_metrics
    )
    overall = tuple(s for s in evaluation.summaries if s.class_idx is None)
    return replace(evaluation, class_metrics=classes, summaries=(*overall, *figures))


def shown(engine: Engine, evaluation_id: int, **query: object) -> ClassesPage:
    return classes_page(engine, Settings(), evaluation_id, ClassesQuery(**query))  # type: ignore[arg-type]


def every(engine: Engine, evaluation_id: int, **query: object) -> list[int]:
    """The classes of all pages."""
    first = shown(engine, evaluation_id, **query)
    numbers = range(1, first.pages.total + 1)
    return [row.class_idx for n in numbers for row in shown(engine, evaluation_id, **query, page=n).rows]


def test_a_row_has_the_stored_figures(engine: Engine, client: TestClient) -> None:
    evaluation = large()
    evaluation_id = save_evaluation(engine, evaluation)
    row = shown(engine, evaluation_id).rows[11]
    metrics = evaluation.class_metrics[11]
    figures = {(s.metric, s.method): s.value for s in evaluation.summaries if s.class_idx == 11}
    assert (row.class_idx, row.name, row.support, row.explained) == (11, "class 011", metrics.support, 13)
    assert (row.recall, row.recall_ci_low, row.recall_ci_high) == (metrics.recall, 0.6, 0.9)
    assert (row.precision, row.f1, row.active_channels) == (0.8, 0.77, metrics.active_channels)
    assert row.agreements == tuple(figures["agreement_median", method] for method in METHODS)
    assert row.drops == tuple(figures["confidence_drop_5", method] for method in METHODS)
    assert [(m.name, m.source, m.count, m.weight) for m in row.contrast] == [
        ("class 012", "observed", 2, 0.1),
        ("class 013", "soft", 0, 0.1),
    ]
    text = client.get(f"/evaluation/{evaluation_id}/classes").text
    for figure in (number(row.agreements[0]), number(row.drops[5]), percent(row.recall)):
        assert figure in text
    assert "class 012 <small>2 images</small>" in text
    assert "class 013 <small>soft, 10.00%</small>" in text


def test_where_images_are_of_several_classes_it_shows_to_what_the_model_says_yes(
    engine: Engine, client: TestClient
) -> None:
    evaluation = large()
    plain_id = save_evaluation(engine, evaluation)
    yes = tuple(
        MetricSummary(metric=metric, method="", class_idx=i, value=value + i / 1000, n=20)
        for i in range(120)
        for metric, value in (("label_recall", 0.7), ("label_precision", 0.6))
    )
    other = replace(evaluation.split, digest="9" * 64)
    several_id = save_evaluation(engine, replace(evaluation, split=other, summaries=(*evaluation.summaries, *yes)))
    assert shown(engine, plain_id).header.labels == ()
    assert shown(engine, plain_id).rows[11].labels == ()
    page = shown(engine, several_id, sort="label_recall", order=Order.DESCENDING)
    assert [link.title for link in page.header.labels] == ["where it should", "rightly"]
    assert page.rows[0].class_idx == 119
    assert page.rows[0].labels == pytest.approx((0.819, 0.719))
    text = client.get(f"/evaluation/{several_id}/classes").text
    assert "Says yes" in text
    assert "71.1%" in text
    assert "Says yes" not in client.get(f"/evaluation/{plain_id}/classes").text


def test_one_image_is_one(engine: Engine, client: TestClient) -> None:
    evaluation = an_evaluation()
    (first, *rest), *others = evaluation.contrast_sets.members
    sets = replace(evaluation.contrast_sets, members=((replace(first, count=1), *rest), *others))
    evaluation_id = save_evaluation(engine, replace(evaluation, contrast_sets=sets))
    assert "dog <small>1 image</small>" in client.get(f"/evaluation/{evaluation_id}/classes").text


def test_undefined_figures_are_dashes(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, large())
    row = shown(engine, evaluation_id, q="class 110").rows[0]
    assert (row.recall, row.explained, row.agreements) == (None, 0, (None,) * 6)
    text = client.get(f"/evaluation/{evaluation_id}/classes", params={"q": "class 110"}).text
    assert text.count('<td class="number">–</td>') == 12


KEYS = ("index", "name", "support", "recall", "precision", "f1", "explained", "channels")


@pytest.mark.parametrize("key", [*KEYS, "agreement.gradcam++", "drop.case"])
@pytest.mark.parametrize("order", list(Order))
def test_every_column_sorts_with_the_undefined_last(engine: Engine, key: str, order: Order) -> None:
    evaluation = large()
    figure = {"agreement.gradcam++": ("agreement_median", "gradcam++"), "drop.case": ("confidence_drop_5", "case")}
    by_class = {s.class_idx: s for s in evaluation.summaries if (s.metric, s.method) == figure.get(key)}
    explained = {s.class_idx: s.n + s.n_undefined for s in evaluation.summaries if s.class_idx is not None}

    def value(i: int) -> float | str:
        metrics = evaluation.class_metrics[i]
        if key in figure:
            return by_class[i].value if i in by_class else nan
        plain = {"index": i, "name": NAMES[i], "explained": explained.get(i, 0), "channels": metrics.active_channels}
        return plain[key] if key in plain else getattr(metrics, key)

    defined = [i for i in range(120) if value(i) == value(i)]
    defined.sort(key=value, reverse=order is Order.DESCENDING)
    expected = defined + [i for i in range(120) if i not in set(defined)]
    assert every(engine, save_evaluation(engine, evaluation), sort=key, order=order) == expected


def test_the_worst_comes_first_and_the_second_click_turns_it(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, large())
    page = shown(engine, evaluation_id, q="class", sort="agreement.case", page=2)
    case = page.header.agreement[0]
    assert case.order is Order.DESCENDING
    assert parse_qs(case.address.removeprefix("?")) == {"q": ["class"], "sort": ["agreement.case"], "order": ["asc"]}
    recall = page.header.plain[3]
    assert recall.order is None
    assert parse_qs(recall.address.removeprefix("?")) == {"q": ["class"], "sort": ["recall"]}
    turned = shown(engine, evaluation_id, sort="agreement.case", order=Order.ASCENDING).header.agreement[0]
    assert turned.address == "?sort=agreement.case"
    assert shown(engine, evaluation_id, sort="recall").header.plain[0].address == "?"


def test_pages_keep_the_rest_of_the_query(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, large())
    first = shown(engine, evaluation_id, sort="recall", q="CLASS")
    assert (len(first.rows), first.found, first.pages.total, first.pages.previous) == (50, 120, 3, None)
    assert first.pages.next == "?q=CLASS&sort=recall&page=2"
    last = shown(engine, evaluation_id, page=99)
    assert (last.pages.number, last.pages.next, len(last.rows)) == (3, None, 20)
    assert shown(engine, evaluation_id, page=2).pages.previous == "?"


def test_a_name_is_searched_for(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, large())
    assert every(engine, evaluation_id, q="S 01") == list(range(10, 20))


def test_the_worst_are_those_to_look_at(engine: Engine) -> None:
    evaluation = large()
    [result] = evaluation.verdict.results
    rule = Rule(metric="recall", limit=0.5, greater_is_better=True, per_class=True, severity=Severity.WARN)
    broken = replace(result, threshold=rule, method=None, class_idx=7, status=Status.FAIL)
    kept = replace(broken, class_idx=8, status=Status.INSUFFICIENT)
    classes = tuple(replace(m, recall=0.0) if m.class_idx == 30 else m for m in evaluation.class_metrics)
    alike = tuple(
        replace(s, value=0.5) if (s.metric, s.method, s.class_idx) == ("agreement_median", "case", 41) else s
        for s in evaluation.summaries
    )
    verdict = replace(evaluation.verdict, results=(result, broken, kept))
    evaluation_id = save_evaluation(
        engine, replace(evaluation, verdict=verdict, class_metrics=classes, summaries=alike)
    )
    assert every(engine, evaluation_id, show=Show.WORST) == [7, 30, 41]
    assert [row.is_failing for row in shown(engine, evaluation_id, show=Show.WORST).rows] == [True, False, False]


def test_the_area_is_the_gates_or_the_one_asked_for(engine: Engine) -> None:
    evaluation = large()
    first = save_evaluation(engine, evaluation)
    assert [area.suffix for area in shown(engine, first).areas] == ["50", "5"]
    asked = shown(engine, first, area="50")
    of_fifty = {s.method: s.value for s in evaluation.summaries if (s.metric, s.class_idx) == ("confidence_drop_50", 1)}
    assert asked.rows[1].drops == tuple(of_fifty[method] for method in METHODS)
    rule = Threshold(metric="confidence_drop_50_vs_random", method="gate", limit=0.0, greater_is_better=True)
    other = replace(evaluation, policy=Policy(thresholds=(rule,)), model=replace(evaluation.model, version=9))
    area = shown(engine, save_evaluation(engine, other)).area
    assert area is not None
    assert area.words == "top 50% of the pixels"


def test_hostile_names_are_text(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    text = client.get(f"/evaluation/{evaluation_id}/classes", params={"q": '<script>alert(1)</script>"'}).text
    assert "<script>alert" not in text
    assert 'value="&lt;script&gt;alert(1)&lt;/script&gt;&#34;"' in text
    assert "No class fits" in text
    text = client.get(f"/evaluation/{evaluation_id}/classes").text
    assert "<script>alert" not in text
    assert 'aria-label="Confusions of &lt;script&gt;alert(1)&lt;/script&gt;"' in text
    assert f'href="/evaluation/{evaluation_id}/confusion?class=2"' in text


@pytest.mark.parametrize(
    "query", ["sort=nonsense", "sort=agreement.nonsense", "area=7", "order=up", "show=best", "page=0", "page=x"]
)
def test_what_makes_no_sense_is_refused(engine: Engine, client: TestClient, query: str) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    assert client.get(f"/evaluation/{evaluation_id}/classes?{query}").status_code == 422


def test_an_empty_form_is_no_filter(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    text = client.get(f"/evaluation/{evaluation_id}/classes?q=&show=&sort=&order=&area=").text
    assert "4 of 4 classes" in text


def test_an_unknown_evaluation_is_not_found(engine: Engine) -> None:
    with pytest.raises(HTTPException, match="404"):
        shown(engine, 7)


def test_sets_that_are_empty_say_why(engine: Engine, client: TestClient) -> None:
    evaluation = an_evaluation()
    sets = replace(evaluation.contrast_sets, members=((),) * 4, unseen=(1,))
    evaluation_id = save_evaluation(engine, replace(evaluation, contrast_sets=sets))
    text = client.get(f"/evaluation/{evaluation_id}/classes").text
    assert text.count("no validation image: chosen per image") == 1
    assert text.count("empty: CASE is Grad-CAM") == 3
