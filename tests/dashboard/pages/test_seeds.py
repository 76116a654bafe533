"""The study of seeds: which versions take part, and what is said about each method."""

import csv
import io
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from scipy.stats import friedmanchisquare
from sqlalchemy import Engine

from case_monitor.dashboard.pages.seeds import taking_part
from case_monitor.dashboard.pages.seeds.study import SeedStudy, seed_study
from case_monitor.dashboard.pages.seeds.taking_part import SeedQuery
from case_monitor.dashboard.pages.seeds.version_ranges import VersionRanges
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.summary import MetricSummary
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import keep_seed_group, save_evaluation
from tests.support import factories
from tests.support.factories import METHODS

HOSTILE = "a \"quoted\" 'name' <script>alert(1)</script>/100%&?#" + "x" * 150


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


def an_evaluation(group: str | None = "seeds", **changes: Any) -> Evaluation:
    """Of a version that belongs to a group."""
    evaluation = factories.an_evaluation(**changes)
    return replace(evaluation, model=replace(evaluation.model, seed_group=group))


def read(engine: Engine, **chosen: Any) -> SeedStudy:
    return seed_study(engine, SeedQuery(**{"model": "digits"} | chosen))


def with_agreement(version: int, means: dict[str, float], p: float = 0.01) -> Evaluation:
    """A version with these mean agreements, and with this p for every method."""
    evaluation = an_evaluation(version=version)
    others = [s for s in evaluation.summaries if s.metric not in {"agreement_mean", "agreement_median"}]
    rows = [MetricSummary(metric="agreement_mean", method=m, value=value, n=60) for m, value in means.items()]
    rows += [MetricSummary(metric="agreement_median", method=m, value=0.3, n=60, p_adjusted=p) for m in means]
    return replace(evaluation, summaries=(*others, *rows))


def on_another_split(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, split=replace(evaluation.split, digest="6" * 64))


def means(*values: float) -> dict[str, float]:
    return dict(zip(METHODS, values, strict=True))


TABLE = (
    means(0.1, 0.4, 0.5, 0.6, 0.7, 0.8),
    means(0.2, 0.5, 0.4, 0.7, 0.6, 0.9),
    means(0.3, 0.2, 0.5, 0.6, 0.7, 0.7),
)


def test_means_and_deviations_are_those_of_the_stored_figures(engine: Engine) -> None:
    for version, row in enumerate(TABLE, 1):
        save_evaluation(engine, with_agreement(version, row))
    found = read(engine)
    assert [seed.version for seed in found.seeds] == [1, 2, 3]
    assert [m.method for m in found.methods] == list(METHODS)
    for m in found.methods:
        column = [row[m.method] for row in TABLE]
        assert m.values == tuple(column)
        assert m.mean == pytest.approx(statistics.mean(column))
        assert m.sd == pytest.approx(statistics.stdev(column))
        assert m.n == 3


def test_ranks_and_their_stability_are_those_of_friedmans_test(engine: Engine) -> None:
    for version, row in enumerate(TABLE, 1):
        save_evaluation(engine, with_agreement(version, row))
    found = read(engine)
    assert [m.ranks for m in found.methods] == [(1, 1, 2), (2, 3, 1), (3, 2, 3), (4, 5, 4), (5, 4, 5.5), (6, 6, 5.5)]
    statistic = friedmanchisquare(*([row[m] for row in TABLE] for m in METHODS)).statistic
    assert found.w == pytest.approx(statistic / (3 * 5))
    assert found.ranked == 3


def test_of_a_drop_the_highest_is_best(engine: Engine) -> None:
    evaluations = [an_evaluation(version=version, seed=version) for version in (1, 2)]
    for evaluation in evaluations:
        save_evaluation(engine, evaluation)
    found = read(engine, metric="confidence_drop_5")
    assert found.greater_is_better
    for place, evaluation in enumerate(evaluations):
        drops = {s.method: s.value for s in evaluation.summaries if s.metric == "confidence_drop_5"}
        best = next(m.method for m in found.methods if m.ranks[place] == 1)
        assert drops[best] == max(drops.values())


def test_a_seed_in_which_a_method_is_undefined_is_not_ranked(engine: Engine) -> None:
    for version, row in enumerate(TABLE, 1):
        changed = row | ({"gradcam": float("nan")} if version == 2 else {})
        save_evaluation(engine, with_agreement(version, changed))
    found = read(engine)
    gradcam = found.methods[METHODS.index("gradcam")]
    assert (gradcam.values, gradcam.n, gradcam.mean) == ((0.4, None, 0.2), 2, pytest.approx(0.3))
    assert found.ranked == 2
    assert all(m.ranks[1] is None for m in found.methods)


def test_rejections_are_counted_per_seed(engine: Engine) -> None:
    for version, p in ((1, 0.01), (2, 0.06), (3, float("nan"))):
        save_evaluation(engine, with_agreement(version, TABLE[0], p))
    [case] = [m for m in read(engine).methods if m.method == "case"]
    assert (case.rejects, case.tested) == (1, 2)


def test_versions_on_another_split_are_left_out_and_named(engine: Engine, client: TestClient) -> None:
    save_evaluation(engine, on_another_split(an_evaluation(version=1)))
    other = an_evaluation(version=2)
    save_evaluation(engine, replace(other, provenance=replace(other.provenance, protocol_digest="c" * 64)))
    for version in (3, 4):
        save_evaluation(engine, an_evaluation(version=version))
    found = read(engine, versions="1-4,9")
    assert [seed.version for seed in found.seeds] == [3, 4]
    assert [(out.version, out.why) for out in found.left_out] == [
        (1, "evaluated on another split"),
        (2, "evaluated under another protocol"),
        (9, "not evaluated"),
    ]
    text = client.get("/seeds?model=digits&versions=1-4,9").text
    assert "Left out: 3 versions." in text
    assert "version 2: evaluated under another protocol" in text


def test_of_a_version_the_last_evaluation_on_the_common_split_counts(engine: Engine) -> None:
    first = save_evaluation(engine, an_evaluation(version=1))
    save_evaluation(engine, on_another_split(an_evaluation(version=1)))
    again = an_evaluation(version=2)
    save_evaluation(engine, again)
    policy = replace(again.provenance, policy_digest="c" * 64)
    last = save_evaluation(engine, replace(again, provenance=policy))
    assert [seed.evaluation_id for seed in read(engine).seeds] == [first, last]


def test_a_night_on_data_of_its_own_does_not_hide_the_others(engine: Engine) -> None:
    for version in (1, 2):
        save_evaluation(engine, an_evaluation(version=version))
    save_evaluation(engine, on_another_split(an_evaluation(version=2)))
    assert [seed.version for seed in read(engine).seeds] == [1, 2]
    assert read(engine).left_out == ()


def test_by_itself_the_newest_split_counts_and_among_versions_named_the_most_common(engine: Engine) -> None:
    for version in (1, 2, 3):
        save_evaluation(engine, an_evaluation(version=version))
    for version in (4, 5):
        save_evaluation(engine, on_another_split(an_evaluation(version=version)))
    assert [seed.version for seed in read(engine).seeds] == [4, 5]
    assert [seed.version for seed in read(engine, versions="1-5").seeds] == [1, 2, 3]
    assert [seed.version for seed in read(engine, versions="1,5").seeds] == [5]


def test_all_versions_of_a_group_take_part(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in range(1, 24):
        save_evaluation(engine, an_evaluation(version=version))
    assert len(read(engine).seeds) == 23
    monkeypatch.setattr(taking_part, "MOST", 22)
    with pytest.raises(HTTPException, match="versions: at most 22 were expected, 23 came"):
        read(engine)


def test_versions_measured_at_another_layer_are_left_out(engine: Engine) -> None:
    for version, layer in ((1, "features"), (2, "features"), (3, "other")):
        evaluation = an_evaluation(version=version)
        save_evaluation(engine, replace(evaluation, provenance=replace(evaluation.provenance, target_layer=layer)))
    found = read(engine, versions="1-3")
    assert [seed.version for seed in found.seeds] == [1, 2]
    assert [(out.version, out.why) for out in found.left_out] == [(3, "evaluated at another layer")]


def test_a_single_version_has_no_deviation_and_no_order(engine: Engine, client: TestClient) -> None:
    save_evaluation(engine, an_evaluation())
    found = read(engine)
    assert found.w is None
    assert {m.sd for m in found.methods} == {None}
    text = client.get("/seeds?model=digits").text
    assert "One version says nothing about seeds" in text
    assert "cannot be said" in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"model": "nothing"}, 404),
        ({"model": "digits", "versions": "5-1"}, 400),
        ({"model": "digits", "versions": "1,,2"}, 400),
        ({"model": "digits", "versions": "<b>"}, 400),
        ({"model": "digits", "versions": "9" * 2000}, 400),
        ({"model": "digits", "versions": "7"}, 400),
        ({"model": "digits", "versions": "1-999999999"}, 200),
        ({"model": "digits", "metric": "accuracy"}, 400),
        ({}, 422),
    ],
)
def test_what_cannot_be_asked_is_refused(
    engine: Engine, client: TestClient, query: dict[str, str], status: int
) -> None:
    save_evaluation(engine, an_evaluation())
    assert client.get("/seeds", params=query).status_code == status


def groups_of(engine: Engine) -> None:
    """Versions 1, 2 and 6 of "first", 3 and 4 of "second", 5 of none."""
    for version, group in enumerate(("first", "first", "second", "second", None, "first"), 1):
        save_evaluation(engine, an_evaluation(version=version, group=group))


def test_versions_of_one_group_are_a_study_of_seeds(engine: Engine) -> None:
    groups_of(engine)
    found = read(engine)
    assert (found.group, found.groups) == ("first", ("first", "second"))
    assert [seed.version for seed in found.seeds] == [1, 2, 6]
    second = read(engine, group="second")
    assert (second.group, [seed.version for seed in second.seeds]) == ("second", [3, 4])
    assert found.left_out == second.left_out == ()


def test_unrelated_versions_are_never_pooled_even_where_they_are_named(engine: Engine, client: TestClient) -> None:
    groups_of(engine)
    found = read(engine, versions="1-6,9")
    assert (found.group, [seed.version for seed in found.seeds]) == ("first", [1, 2, 6])
    assert [(out.version, out.why) for out in found.left_out] == [
        (3, "of group second"),
        (4, "of group second"),
        (5, "of no group"),
        (9, "not evaluated"),
    ]
    chosen = read(engine, versions="1-6", group="second")
    assert [seed.version for seed in chosen.seeds] == [3, 4]
    assert (1, "of group first") in [(out.version, out.why) for out in chosen.left_out]
    assert "of group second" in client.get("/seeds?model=digits&versions=1-6").text


def test_without_a_group_nothing_is_pooled_unless_versions_are_named(engine: Engine, client: TestClient) -> None:
    for version in (1, 2):
        save_evaluation(engine, an_evaluation(version=version, group=None))
    found = read(engine)
    assert (found.seeds, found.group, found.groups, found.w) == ((), None, (), None)
    text = client.get("/seeds?model=digits").text
    assert "No version says which study of seeds it belongs to" in text
    assert "case_monitor.seed_group" in text
    assert '<select name="group">' not in text
    assert [seed.version for seed in read(engine, versions="1-2").seeds] == [1, 2]


def test_a_group_that_there_is_not_is_refused_with_those_that_there_are(engine: Engine, client: TestClient) -> None:
    groups_of(engine)
    answer = client.get("/api/v1/seeds?model=digits&group=third")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "group: one of the model's was expected (first, second), 'third' came"
    answer = client.get("/api/v1/seeds?model=digits&group=second&versions=1-2")
    assert answer.status_code == 400
    assert "versions of group second were expected, none of them came" in answer.json()["detail"]


def test_the_group_of_the_last_evaluation_counts(engine: Engine) -> None:
    save_evaluation(engine, an_evaluation(version=1, group=None))
    save_evaluation(engine, an_evaluation(version=1, group="late"))
    assert read(engine).group == "late"


def test_a_tag_that_was_corrected_is_kept_without_another_evaluation(engine: Engine) -> None:
    groups_of(engine)
    model = factories.an_evaluation(version=6).model
    keep_seed_group(engine, replace(model, seed_group="second"))
    assert [seed.version for seed in read(engine, group="second").seeds] == [3, 4, 6]
    keep_seed_group(engine, replace(model, seed_group=None))
    assert [seed.version for seed in read(engine, group="second").seeds] == [3, 4]


def test_the_link_to_the_file_is_of_what_the_page_shows(engine: Engine, client: TestClient) -> None:
    groups_of(engine)
    assert "/api/v1/seeds.csv?model=digits&amp;group=first&amp;" in client.get("/seeds?model=digits").text
    long = ",".join(["1"] * 300)
    page = client.get("/seeds", params={"model": "digits", "versions": long})
    assert page.status_code == client.get("/api/v1/seeds.csv", params={"model": "digits", "versions": long}).status_code


def test_as_csv(engine: Engine, client: TestClient) -> None:
    for version, row in enumerate(TABLE, 1):
        save_evaluation(engine, with_agreement(version, row))
    save_evaluation(engine, an_evaluation(version=4, group="other"))
    answer = client.get("/api/v1/seeds.csv?model=digits&group=seeds")
    assert answer.headers["content-disposition"] == 'attachment; filename="seeds.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 3 * len(METHODS)
    assert [(row["version"], float(row["value"])) for row in rows if row["method"] == "gradcam"] == [
        ("1", 0.4),
        ("2", 0.5),
        ("3", 0.2),
    ]
    assert {row["group"] for row in rows} == {"seeds"}
    assert {row["rank"] for row in rows if row["version"] == "1"} == {f"{rank}.0" for rank in range(1, 7)}
    page = client.get("/seeds?model=digits&group=seeds").text
    assert "/api/v1/seeds.csv?model=digits&amp;group=seeds&amp;metric=agreement_mean" in page
    assert client.get("/api/v1/seeds.parquet?model=digits&group=seeds").content[:4] == b"PAR1"
    assert client.get("/api/v1/seeds.csv?model=nothing").status_code == 404


def test_ranges() -> None:
    ranges = VersionRanges.read(" 1-3 , 8")
    assert [version for version in range(10) if version in ranges] == [1, 2, 3, 8]
    assert ranges.unknown([1, 2, 3]) == (8,)
    for wrong in ("", "-1", "1-", "a", "1-2-3", "1;2", "²"):
        with pytest.raises(ValueError, match="versions: "):
            VersionRanges.read(wrong)


def test_dots_of_equal_values_are_kept_apart_within_their_strip(engine: Engine) -> None:
    from case_monitor.dashboard.pages.seeds.page import stacked, with_strips

    assert len(set(stacked([0.5] * 5, 0.01))) == 5
    assert max(map(abs, stacked([0.5] * 50, 0.01))) <= 0.3
    for version in (1, 2):
        save_evaluation(engine, with_agreement(version, TABLE[0]))
    figure = with_strips(read(engine), "/root").figure
    assert figure
    assert figure["data"][1]["y"] == [1.0, 1.09]
    assert figure["data"][1]["customdata"][0] == [1, f"/root/evaluation/{read(engine).seeds[0].evaluation_id}"]


def test_hostile_names_are_escaped(engine: Engine, client: TestClient) -> None:
    save_evaluation(engine, an_evaluation(name=HOSTILE))
    answer = client.get("/seeds", params={"model": HOSTILE})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
