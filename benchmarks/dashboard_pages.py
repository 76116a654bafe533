"""Which pages a reader of the dashboards opens: found in the database, so that they exist."""

import json
import random
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from sqlalchemy import Engine, text

from tests.support.generated_store import LARGE_NAME

Pages = Mapping[str, Sequence[str]]
"""Kind of page -> paths of that kind."""

PER_KIND = 20
_OF_SMALL = """
SELECT model, version, baseline_version, evaluation_id FROM (
    SELECT *, row_number() OVER (PARTITION BY model ORDER BY evaluation_id DESC) AS age
    FROM case_monitor_evaluations WHERE model <> :large AND baseline_version IS NOT NULL
) AS evaluation WHERE age <= 3"""
_OF_LARGE = """
SELECT model, version, baseline_version, evaluation_id FROM case_monitor_evaluations
WHERE model = :large AND baseline_version IS NOT NULL"""


def find_pages(engine: Engine) -> Pages:
    """The pages and what they fetch, each of some models; the same every time."""
    with engine.connect() as connection:
        small = connection.execute(text(f"{_OF_SMALL} ORDER BY evaluation_id"), {"large": LARGE_NAME}).all()
        [large] = connection.execute(text(_OF_LARGE), {"large": LARGE_NAME}).all()
    small = random.Random(0).sample(small, min(PER_KIND, len(small)))
    pages = {"/": ["/"]}
    for size, rows in (("10 classes", small), ("1000 classes", [large])):
        pages |= {
            f"/model ({size})": [f"/model?name={_quoted(row.model)}" for row in rows],
            f"/evaluation/ID ({size})": [f"/evaluation/{row.evaluation_id}" for row in rows],
            **{
                f"/evaluation/ID/{part} ({size})": [f"/evaluation/{row.evaluation_id}/{part}" for row in rows]
                for part in ("classes", "confusion", "confusion.json", "gallery")
            },
            f"/compare ({size})": [
                f"/compare?model={_quoted(row.model)}&candidate={row.version}&baseline={row.baseline_version}"
                for row in rows
            ],
        }
    pages["/seeds"] = [f"/seeds?model={_quoted(row.model)}" for row in small]
    return pages | {"/alerts": ["/alerts"], "/api/v1/models": ["/api/v1/models"]}


def _quoted(name: str) -> str:
    return quote(name, safe="")


def described(pages: Pages) -> str:
    """For a log: one path of each kind."""
    return json.dumps({kind: paths[0] for kind, paths in pages.items()}, indent=1)
