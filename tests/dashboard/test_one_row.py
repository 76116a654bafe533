"""A method is its row and its formula, a metric its row and its function: nothing else has to know of either."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from torch import Tensor

from case_monitor.dashboard.parts.charts import colour_property
from case_monitor.dashboard.shell.method_styles import style_sheet
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.findings import Findings
from case_monitor.domain.methods import METHODS, Method
from case_monitor.domain.metric import Metric, Unit
from case_monitor.domain.metrics import METRICS
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.evidence.pictures import style
from case_monitor.judging.figures.means import MEANS
from case_monitor.saliency import maps
from case_monitor.saliency.methods.layercam import layercam
from case_monitor.saliency.trace import Trace
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from case_monitor.store.write import save_evaluation
from tests.steps.test_trial import PROTOCOL, loaded, trained
from tests.support.sources import a_split, blobs
from tests.support.trial import evaluate

TOY = Method(name="toycam", title="Toy CAM", ink="#102030", light="#405060", dark="#708090", marker="hourglass")
SQUARE = Metric(
    name="squared_drop_{}",
    words="squared confidence drop without the {area}",
    unit=Unit.PROBABILITY,
    of_methods=True,
    compared=True,
    per_class=True,
    label="Square {area}",
    axis="squared drop, {area}",
)
POLICY = Policy(
    min_samples=10,
    gate_method="toycam",
    thresholds=(Threshold(metric="squared_drop_50", method="gate", limit=0.99, greater_is_better=True),),
)


def toycam(trace: Trace) -> Tensor:
    return layercam(trace) ** 2


@pytest.fixture(scope="module")
def rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, TOY.name, TOY)
        patch.setitem(maps.METHODS, TOY.name, toycam)
        patch.setitem(METRICS, SQUARE.name, SQUARE)
        patch.setitem(MEANS, SQUARE.name, lambda scores, m, area: scores.values[m, f"confidence_drop_{area}"] ** 2)
        yield


@pytest.fixture(scope="module")
def evaluations(rows: None) -> list[Evaluation]:
    """A version, and another one that is compared with it."""
    protocol, source = replace(PROTOCOL, methods=("gradcam", "toycam")), blobs(64, (0, 1, 2, 3))
    first, second = (loaded(n, trained(4, seed=n - 1), a_split(4, 64), source) for n in (1, 2))
    found: list[Findings] = [
        evaluate(candidate, baseline, policy=POLICY, protocol=protocol)
        for candidate, baseline in ((first, None), (second, first))
    ]
    return [findings.evaluation for findings in found]


@pytest.fixture(scope="module")
def client(evaluations: list[Evaluation], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}"
    upgrade(url)
    engine = connect(url)
    for evaluation in evaluations:
        save_evaluation(engine, evaluation)
    with TestClient(create_app(Settings(), engine)) as client:
        yield client
    engine.dispose()


def test_a_method_is_measured_and_shown_by_its_row(evaluations: list[Evaluation], client: TestClient) -> None:
    assert all(e.summary("agreement_median", "toycam") for e in evaluations)
    assert evaluations[1].summary("baseline_agreement", "toycam")
    page = client.get("/evaluation/2").text
    assert "Toy CAM" in page
    for address in ("/evaluation/2", "/model?name=blobs", "/seeds?model=blobs&versions=1-2"):
        assert '"var(--toycam)"' in client.get(address).text
        assert '"hourglass"' in client.get(address).text
    sheet = client.get("/static/methods.css")
    assert sheet.headers["content-type"].startswith("text/css")
    assert "--toycam: #405060;" in sheet.text
    assert sheet.text.count("--toycam: #708090;") == 2
    assert (style.method_title("toycam"), style.method_colour("toycam")) == ("Toy CAM", "#102030")


def test_a_metric_is_judged_by_its_row(evaluations: list[Evaluation]) -> None:
    for evaluation in evaluations:
        drops = evaluation.scores.values["toycam", "confidence_drop_50"]
        row = evaluation.summary("squared_drop_50", "toycam")
        assert row is not None
        assert row.value == pytest.approx(float(np.nanmean(drops**2)))
        assert evaluation.verdict.status == "fail", evaluation.verdict.sentence
        assert f"Toy CAM: squared drop 50: {row.value:.3f} [" in evaluation.verdict.sentence
    classes = {s.class_idx for s in evaluations[0].summaries if s.metric == "squared_drop_50"}
    assert classes == {None, 0, 1, 2, 3}


def test_a_metric_is_worded_and_drawn_by_its_row(evaluations: list[Evaluation], client: TestClient) -> None:
    page = client.get("/evaluation/2").text
    assert "Toy CAM: squared confidence drop without the top 50% of the pixels above 0.99" in page
    assert 'class="interval"' in page
    difference = evaluations[1].summary("squared_drop_50_vs_baseline", "toycam")
    assert difference is not None
    compared = client.get("/compare?model=blobs&candidate=2&baseline=1").text
    assert "Square 50%, Toy CAM" in compared
    found = client.get("/api/v1/comparison?model=blobs&candidate=2&baseline=1").json()["differences"]
    [drawn] = [d for d in found if (d["metric"], d["method"]) == ("squared_drop_50", "toycam")]
    assert (drawn["difference"], drawn["greater_is_better"]) == (pytest.approx(difference.value), True)
    over_seeds = client.get("/seeds?model=blobs&versions=1-2&metric=squared_drop_50").text
    assert "squared drop, top 50% of the pixels" in over_seeds
    assert "higher is better" in over_seeds


def test_methods_have_their_colours_from_the_catalogue_alone() -> None:
    assert all(style_sheet().count(f"{colour_property(m)}: ") == 3 for m in METHODS)
    own = (Path(style_sheet.__code__.co_filename).parents[1] / "static" / "style.css").read_text(encoding="utf-8")
    assert not [m for m in METHODS if f"{colour_property(m)}:" in own]


def test_every_method_has_a_marker_and_colours_of_its_own() -> None:
    for field in ("marker", "ink", "light", "dark"):
        assert len({getattr(method, field) for method in METHODS.values()}) == len(METHODS)
