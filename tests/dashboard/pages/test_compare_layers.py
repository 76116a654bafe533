"""A version beside itself at another layer: figures of the same images under the same protocol, but for the layer."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.dashboard.pages.compare.page import with_forest
from case_monitor.domain.digests import protocol_digest
from case_monitor.domain.evaluation import Evaluation
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import save_evaluation
from tests.dashboard.pages.test_compare import HOSTILE, LENIENT, differences, read
from tests.support.factories import a_gallery, an_evaluation


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


def at(layer: str, seed: int, *, version: int = 1, **protocol: Any) -> Evaluation:
    """The version at a layer: the model's answers are the same, its explanations are others."""
    first, other = an_evaluation(version=version, seed=0), an_evaluation(version=version, seed=seed)
    n = len(first.scores.sample_ids)
    kept = {key: values[:n] for key, values in other.scores.values.items() if len(values) >= n}
    values = {key: kept.get(key, own) for key, own in first.scores.values.items()}
    made = replace(first.provenance.protocol, target_layer=layer, **protocol)
    provenance = replace(first.provenance, protocol=made, protocol_digest=protocol_digest(made), target_layer=layer)
    return replace(first, policy=LENIENT, provenance=provenance, scores=replace(first.scores, values=values))


def test_it_is_the_comparison_that_an_evaluation_would_have_made(engine: Engine) -> None:
    first, second = at("blocks", 0), at("blocks.2.conv2", 5)
    for evaluation in (first, second):
        save_evaluation(engine, evaluation)
    found, oracle = read(engine, candidate=1, baseline=1), differences(second, first)
    assert found.comparable
    assert found.layers == ("blocks.2.conv2", "blocks")
    assert (found.candidate.title, found.baseline.title) == ("1 at blocks.2.conv2", "1 at blocks")
    assert {r.metric for r in found.differences} >= {"accuracy", "agreement_median", "confidence_drop_5"}
    for row in found.differences:
        expected = oracle[f"{row.metric}_vs_baseline", row.method, None]
        assert (row.difference, row.ci_low, row.n) == (expected.value, expected.ci_low, expected.n)
    accuracy = next(row for row in found.differences if row.metric == "accuracy")
    assert accuracy.difference == 0  # the layer changes no answer
    assert any(row.difference for row in found.differences if row.metric == "agreement_median")
    assert with_forest(found).headline == (
        "The gate would say: version 1 at blocks.2.conv2 passes beside version 1 at blocks."
    )
    assert any("at the two layers were not laid over each other" in reason for reason in found.missing)


def test_the_layers_can_be_chosen_and_swapped(engine: Engine) -> None:
    for seed, layer in enumerate(("stem", "blocks", "head")):
        save_evaluation(engine, at(layer, seed))
    asked = read(engine, candidate=1, baseline=1, layer="stem", baseline_layer="head")
    back = read(engine, candidate=1, baseline=1, layer="head", baseline_layer="stem")
    assert (asked.candidate.layer, asked.baseline.layer) == ("stem", "head")
    pairs = zip(asked.differences, back.differences, strict=True)
    assert all(a.difference == pytest.approx(-(b.difference or 0.0)) for a, b in pairs)
    with pytest.raises(HTTPException) as unknown:
        read(engine, candidate=1, baseline=1, layer="nowhere")
    assert unknown.value.status_code == 404
    assert not read(engine, candidate=1, baseline=1, layer="stem", baseline_layer="stem").comparable


@pytest.mark.parametrize("differs", ["protocol", "images", "artifact", "figures"])
def test_what_differs_in_more_than_the_layer_is_not_compared(engine: Engine, differs: str) -> None:
    first, second = at("blocks", 0), at("stem", 1)
    if differs == "protocol":
        second = at("stem", 1, contrast_k=1)
    elif differs == "images":
        second = replace(second, split=replace(second.split, digest="f" * 64))
    elif differs == "artifact":
        second = replace(second, model=replace(second.model, digest="e" * 64))
    else:  # measured by code whose figures mean something else
        second = replace(second, provenance=replace(second.provenance, protocol_digest="d" * 64))
    for evaluation in (first, second):
        save_evaluation(engine, evaluation)
    found = read(engine, candidate=1, baseline=1)
    assert (found.comparable, found.layers) == (False, ())
    assert found.missing == ("Both are version 1: choose another one.",)


def test_a_layers_name_cannot_break_the_page(engine: Engine, client: TestClient) -> None:
    for seed, layer in enumerate((HOSTILE, "blocks")):
        save_evaluation(engine, at(layer, seed), gallery=a_gallery(at(layer, seed)))
    asked = {"model": "digits", "candidate": 1, "baseline": 1, "layer": HOSTILE, "baseline_layer": "blocks"}
    answered = client.get("/compare", params=asked)
    assert answered.status_code == 200
    assert "<script>alert(1)" not in answered.text
    assert answered.text.count("&lt;script&gt;alert(1)") > 3
    as_json = client.get("/api/v1/comparison", params=asked | {"layer": "blocks", "baseline_layer": None})
    assert as_json.status_code == 200
    assert (as_json.json()["candidate"]["layer"], as_json.json()["baseline"]["layer"]) == ("blocks", HOSTILE)


def test_two_versions_are_compared_as_ever(engine: Engine) -> None:
    for evaluation in (at("blocks", 0), at("stem", 1), at("blocks", 2, version=2)):
        save_evaluation(engine, evaluation)
    found = read(engine, candidate=2, baseline=1)
    assert (found.layers, found.candidate.title, found.baseline.title) == ((), "2", "1")
    assert found.baseline.layer == "blocks"
