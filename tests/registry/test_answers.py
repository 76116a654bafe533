"""Answers of a registry that say nothing, or something else: none of them is "no version holds the alias"."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from torch import nn

from case_monitor.domain.errors import NotFoundError, RegistryError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import fetch
from tests.support.mlflow_registries import MlflowServer
from tests.support.profiles import examples
from tests.support.registries import NO_ALIAS, Answer, answering, no_model

ALIAS, MODEL = "registered-models/alias", "registered-models/get"
SEARCH, VERSION, PLACE = "model-versions/search", "model-versions/get", "model-versions/get-download-uri"
EVER = datetime(2000, 1, 1, tzinfo=UTC)
KNOWN: Answer = (200, {"registered_model": {"name": "m"}})


def held(version: Any = "3", name: Any = "m", **more: Any) -> Answer:
    return 200, {"model_version": {"name": name, "version": version, **more}}


@pytest.fixture
def answers() -> dict[str, Answer]:
    """What the registry answers to a path."""
    return {}


@pytest.fixture
def registry(mlflow_globals: None, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Answer]) -> Iterator[Registry]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(answers.get) as uri:
        yield Registry(uri)


class TestTheAlias:
    def test_no_version_holds_it_where_the_registry_says_so(
        self, registry: Registry, answers: dict[str, Answer]
    ) -> None:
        answers |= {ALIAS: NO_ALIAS, MODEL: KNOWN}
        assert registry.alias_holder("m", "champion") is None
        other = (200, {"registered_model": {"name": "m", "aliases": [{"alias": "staging", "version": "2"}]}})
        answers[MODEL] = other
        assert registry.alias_holder("m", "champion") is None

    def test_the_version_that_is_named_holds_it(self, registry: Registry, answers: dict[str, Answer]) -> None:
        for more in ({}, {"aliases": ["champion", "x"]}):
            answers[ALIAS] = held("3", **more)
            assert registry.alias_holder("m", "champion") == 3
            assert registry.resolve(ModelRef("m", alias="champion")) == 3

    @pytest.mark.parametrize(
        ("alias", "model"),
        [
            ((200, {}), KNOWN),
            ((200, {}), (200, {})),
            ((200, {"model_version": {}}), KNOWN),
            (held(name="n"), KNOWN),
            (held(""), KNOWN),
            (held("0"), KNOWN),
            (held("-3"), KNOWN),
            (held("three"), KNOWN),
            (held("3", aliases=["staging"]), KNOWN),
            (NO_ALIAS, (200, {})),
            (NO_ALIAS, (200, {"registered_model": {"name": "n"}})),
            (NO_ALIAS, (200, {"registered_model": {"name": "m", "aliases": [{"alias": "champion", "version": "2"}]}})),
            (NO_ALIAS, no_model("m")),
            (NO_ALIAS, (500, "down")),
            ((400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "alias?"}), KNOWN),
            ((400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias x not found."}), KNOWN),
            ((500, {"error_code": "INTERNAL_ERROR", "message": "Registered model alias champion not found."}), KNOWN),
            ((404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}), KNOWN),
            ((404, "<html>not found</html>"), KNOWN),
            ((200, "<html>log in</html>"), KNOWN),
            ((200, []), KNOWN),
            ((200, ""), KNOWN),
            ((204, ""), KNOWN),
        ],
    )  # fmt: skip
    def test_anything_else_is_no_answer(
        self, registry: Registry, answers: dict[str, Answer], alias: Answer, model: Answer
    ) -> None:
        answers |= {ALIAS: alias, MODEL: model}
        with pytest.raises(RegistryError, match=r"^model m: ") as caught:
            registry.alias_holder("m", "champion")
        assert "\n" not in str(caught.value)
        if alias != NO_ALIAS:  # which is a plain answer to this question
            with pytest.raises(RegistryError, match=r"^model m@champion: "):
                registry.resolve(ModelRef("m", alias="champion"))

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    words = st.sampled_from(["m", "n", "3", "", "champion", "Registered model alias champion not found", "not found"])
    fields = st.dictionaries(
        st.sampled_from(["model_version", "registered_model", "name", "version", "aliases", "error_code", "message"]),
        words | json_values | st.fixed_dictionaries({"name": words, "version": words}),
    )

    @settings(
        examples(150),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        status=st.sampled_from([200, 200, 200, 201, 204, 302, 400, 404, 409, 500]),
        alias=fields | json_values,
        model=fields | json_values,
    )
    def test_no_nonsense_says_that_no_version_holds_it(
        self, registry: Registry, answers: dict[str, Answer], status: int, alias: object, model: object
    ) -> None:
        """The answer is a version, with which the candidate is then compared, or an error."""
        answers |= {ALIAS: (status, alias), MODEL: (200, model)}
        with suppress(RegistryError):
            assert registry.alias_holder("m", "champion") == 3


class TestVersions:
    def test_an_empty_list_is_believed_of_a_model_without_versions(
        self, registry: Registry, answers: dict[str, Answer]
    ) -> None:
        answers[SEARCH] = (200, {})
        for model in (KNOWN, no_model("m")):
            answers[MODEL] = model
            assert (registry.newest_version("m"), registry.versions_since("m", EVER)) == (None, [])

    @pytest.mark.parametrize(
        ("search", "model"),
        [
            ((200, {}), (200, {})),
            ((200, {}), (404, "nothing here")),
            ((200, {}), (200, {"registered_model": {"name": "m", "latest_versions": [{"name": "m", "version": "1"}]}})),
            ((200, {"model_versions": [{}]}), KNOWN),
            ((200, {"model_versions": [{"name": "n", "version": "1"}]}), KNOWN),
            ((200, {"model_versions": [{"name": "m", "version": "x"}]}), KNOWN),
            ((200, "[]"), KNOWN),
        ],
    )
    def test_anything_else_is_no_answer(
        self, registry: Registry, answers: dict[str, Answer], search: Answer, model: Answer
    ) -> None:
        answers |= {SEARCH: search, MODEL: model}
        with pytest.raises(RegistryError, match=r"^model m: "):
            registry.newest_version("m")
        with pytest.raises(RegistryError, match=r"^model m: "):
            registry.versions_since("m", EVER)

    @pytest.mark.parametrize("answer", [(200, {}), held("4"), held(name="n"), held("")])
    def test_a_version_is_the_one_that_was_asked_for(
        self, registry: Registry, answers: dict[str, Answer], answer: Answer
    ) -> None:
        answers[VERSION] = answer
        answers[PLACE] = (200, {"artifact_uri": "file:///somewhere"})
        for ask in (lambda: registry.resolve(ModelRef("m", version=3)), lambda: fetch(registry, "m", 3)):
            with pytest.raises(RegistryError, match=r"^model m/3: an answer about ") as caught:
                ask()
            assert not isinstance(caught.value, NotFoundError)

    @pytest.mark.parametrize(("source", "place"), [("", "file:///x"), ("file:///x", "")])
    def test_files_without_a_place(
        self, registry: Registry, answers: dict[str, Answer], source: str, place: str
    ) -> None:
        answers |= {VERSION: held(source=source), PLACE: (200, {"artifact_uri": place}), MODEL: KNOWN}
        with pytest.raises(RegistryError, match=r"^model m/3: the place of its files was expected"):
            fetch(registry, "m", 3)


def test_an_alias_that_did_not_move_is_said(registry: Registry, answers: dict[str, Answer]) -> None:
    answers |= {ALIAS: held("2"), MODEL: KNOWN}  # to setting, too: an answer, and nothing done
    with pytest.raises(RegistryError, match=r"^alias champion of model m: version 3 was to hold it, version 2 does$"):
        registry.set_alias("m", "champion", 3)
    with pytest.raises(RegistryError, match=r"version none was to hold it, version 2 does$"):
        registry.remove_alias("m", "champion")


def test_a_real_server_behind_a_server_that_leaves_aliases_out(
    mlflow_server: MlflowServer, log_version: Callable[..., int]
) -> None:
    """Some do; what they say of the alias itself counts."""
    version = log_version(mlflow_server.uri, "bare", nn.Linear(1, 1))

    def ask(path: str) -> Answer | None:
        return (200, {"registered_model": {"name": "bare"}}) if path == MODEL else None

    with answering(ask, mlflow_server.uri) as uri:
        registry = Registry(uri)
        assert registry.alias_holder("bare", "champion") is None
        MlflowClient(mlflow_server.uri).set_registered_model_alias("bare", "champion", str(version))
        assert registry.alias_holder("bare", "champion") == version
