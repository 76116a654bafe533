"""Inside, an undefined figure is NaN; as JSON it is null, and there is one record of each thing."""

import math
from dataclasses import fields, replace
from typing import Any, get_type_hints

import pytest
from sqlalchemy import Engine

from case_monitor.dashboard.api import items as json_items
from case_monitor.dashboard.api.items import Selection, read_items
from case_monitor.domain.contrast_sets import ContrastMember
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.read import load_summaries
from case_monitor.store.read.promotions import StoredPromotion
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation

PARTS: list[Any] = [
    json_items.RuleItem,
    json_items.SummaryItem,
    json_items.ClassItem,
    json_items.CellItem,
    json_items.ContrastItem,
    json_items.ScoreItem,
]


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (json_items.SummaryItem, MetricSummary),
        (json_items.ContrastItem, ContrastMember),
        (json_items.PromotionItem, StoredPromotion),
    ],
)
def test_an_item_has_the_fields_of_its_record_and_figures_may_be_null(kind: Any, record: Any) -> None:
    inside, outside = get_type_hints(record), get_type_hints(kind)
    assert [f.name for f in fields(kind)] == [f.name for f in fields(record)]
    assert outside == {name: float | None if hint is float else hint for name, hint in inside.items()}


def test_what_is_undefined_is_null_at_the_edge_alone(engine: Engine) -> None:
    evaluation = an_evaluation()
    unknown = replace(evaluation.summaries[0], value=math.nan, ci_low=math.nan)
    saved = save_evaluation(engine, replace(evaluation, summaries=(unknown, *evaluation.summaries[1:])))
    assert math.isnan(load_summaries(engine, saved)[0].value)
    for kind in PARTS:
        items, total = read_items(engine, kind, Selection(evaluation_id=saved))
        assert len(items) == total > 0
        values = [getattr(item, field.name) for item in items for field in fields(kind)]
        assert not [value for value in values if isinstance(value, float) and math.isnan(value)]
    first = read_items(engine, json_items.SummaryItem, Selection(evaluation_id=saved), limit=1)[0][0]
    assert (first.value, first.ci_low, first.n) == (None, None, unknown.n)  # type: ignore[attr-defined]
