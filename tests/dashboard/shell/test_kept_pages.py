"""A kept answer is named by all that is asked for, so that nobody gets the answer to another question."""

import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import URL
from sqlalchemy import Engine

from case_monitor.dashboard import pages
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import save_evaluation
from tests.support.factories import a_gallery, an_evaluation

# What can be asked of each kept answer, other than it is here.
OTHER = {
    "/": {"q": "dig", "verdict": "pass"},
    "/model?name=digits": {"name": "letters", "by": "time", "area": "50", "page": "2"},
    "/compare?model=digits": {
        "model": "letters",
        "candidate": "1",
        "baseline": "1",
        "method": "case",
        "page": "2",
        "layer": "features",
        "baseline_layer": "features",
    },
    "/seeds?model=digits": {"model": "letters", "versions": "1", "group": "a", "metric": "confidence_drop_5"},
    "/evaluation/1/classes": {"q": "a", "show": "worst", "sort": "support", "order": "desc", "area": "50", "page": "2"},
    "/evaluation/1/confusion": {"order": "clustered", "class": "1"},
    "/evaluation/1/confusion.json": {"order": "clustered"},
    "/evaluation/1/gallery": {"view": "top", "class": "1", "method": "case", "sort": "class", "page": "2"},
    "/alerts": {"model": "digits", "state": "all", "severity": "block", "page": "2"},
    "/api/v1/models": {"q": "dig", "verdict": "pass", "page": "2", "per_page": "3"},
    "/api/v1/quality?model=digits": {"model": "letters", "by": "time", "area": "50", "page": "2"},
    "/api/v1/comparison?model=digits": {
        "model": "letters",
        "candidate": "1",
        "baseline": "1",
        "method": "case",
        "layer": "features",
        "baseline_layer": "features",
    },
    "/api/v1/seeds?model=digits": {"model": "letters", "versions": "1", "group": "a", "metric": "confidence_drop_5"},
}
SAID_BY_THE_DATABASE = {"/alerts": {"done", "alert"}}


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    for name in ("digits", "letters"):
        made = an_evaluation()
        evaluation = replace(made, model=replace(made.model, name=name, seed_group="a"))
        save_evaluation(engine, evaluation, None, a_gallery(evaluation))
    with TestClient(create_app(Settings(), engine), base_url="http://localhost") as client:
        yield client


def test_who_asks_for_something_else_gets_another_answer(client: TestClient) -> None:
    for address, others in OTHER.items():
        tags = [client.get(address).headers["etag"]]
        tags += [
            client.get(str(URL(address).copy_set_param(name, value))).headers["etag"] for name, value in others.items()
        ]
        assert len(set(tags)) == len(tags), address


def test_every_parameter_is_among_them(client: TestClient) -> None:
    asked = read_by(client.app) | read_by(all_pages())
    for address, others in OTHER.items():
        path = address.partition("?")[0].replace("/1", "/{evaluation_id}")
        assert asked.pop(path) - SAID_BY_THE_DATABASE.get(path, set()) == set(others), path
    kept = {path for path in asked if not path.startswith("/api/") and not path.endswith(".png")}
    assert kept == {"/evaluation/{evaluation_id}"}, "all of it is in the path"


def all_pages() -> FastAPI:
    app = FastAPI()
    for folder in pkgutil.iter_modules(pages.__path__, f"{pages.__name__}."):
        app.include_router(import_module(f"{folder.name}.page").pages)
    return app


def read_by(app: FastAPI) -> dict[str, set[str]]:
    """The names in the query, by path."""
    answers = {path: methods["get"] for path, methods in app.openapi()["paths"].items() if "get" in methods}
    return {
        path: {asked["name"] for asked in answer.get("parameters", []) if asked["in"] == "query"}
        for path, answer in answers.items()
    }
