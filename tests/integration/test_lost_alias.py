"""No version holds the alias: a first version, or something that somebody deleted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import create_engine, text
from torch import nn

from case_monitor.registry import model_metadata
from tests.integration.test_cli import CONFIG, rows
from tests.support.commands import registry_of, run_cli
from tests.support.mlflow_registries import MlflowServer
from tests.support.registries import NO_ALIAS, Answer, answering


@pytest.fixture
def bereft(demo_copy: Callable[[str], Path]) -> Path:
    """Version 2 was promoted, and somebody deleted the alias."""
    config = demo_copy(CONFIG)
    registry_of(config).set_registered_model_alias("digits", "champion", "1")
    assert run_cli("gate", "digits/2", cwd=config.parent).code == 0
    registry_of(config).delete_registered_model_alias("digits", "champion")
    return config


def aliases(config: Path) -> dict[str, int]:
    found: dict[str, int] = registry_of(config).get_registered_model("digits").aliases
    return found


def test_without_the_alias_nothing_is_judged_but_by_a_persons_word(bereft: Path) -> None:
    for command in (("gate", "digits/3"), ("check", "digits/3"), ("gate", "digits/2"), ("nightly",)):
        ran = run_cli(*command, cwd=bereft.parent)
        assert ran.code == 2, command
        assert "alias champion of digits: no version holds it, and version 2 did on 20" in ran.err
        assert "--first" in ran.err
    assert (rows(bereft, "evaluations"), rows(bereft, "promotions"), aliases(bereft)) == (1, 1, {})

    ran = run_cli("gate", "digits/1", "--first", "--json", cwd=bereft.parent)
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["baseline_version"], said["promotion"]["decision"]) == (None, "promoted")
    assert aliases(bereft) == {"champion": 1}

    for command in ("gate", "check"):
        ran = run_cli(command, "digits/3", "--first", cwd=bereft.parent)
        assert ran.code == 2
        assert "--first: no version was expected to hold alias champion of digits, version 1 does" in ran.err


def test_an_evaluation_that_saw_it_in_production_is_enough(demo_copy: Callable[[str], Path]) -> None:
    """Nothing was ever promoted by this database."""
    config = demo_copy(CONFIG)
    assert run_cli("check", "digits@champion", cwd=config.parent).code == 0
    registry_of(config).delete_registered_model_alias("digits", "champion")
    ran = run_cli("gate", "digits/3", cwd=config.parent)
    assert ran.code == 2
    assert "version 2 did on 20" in ran.err


def test_a_first_version_needs_no_word(demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    registry_of(config).delete_registered_model_alias("digits", "champion")
    assert run_cli("gate", "digits/2", cwd=config.parent).code == 0
    assert aliases(config) == {"champion": 2}


@pytest.fixture
def served(mlflow_server: MlflowServer, log_version: Callable[..., int], tmp_path: Path) -> Callable[[str], Path]:
    """A configuration for a registry at some address; version 1 of `answered` holds the alias, and 2 wants it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    metadata = model_metadata(preprocessing={"mean": [0.5], "std": [0.5]})
    versions = [log_version(mlflow_server.uri, "answered", model, metadata=metadata) for _ in range(2)]
    registry_of_server(mlflow_server).set_registered_model_alias("answered", "champion", str(versions[0]))
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "split.npz", images=images, labels=np.arange(12) % 2)

    def write(uri: str) -> Path:
        # A rule that anything passes: what is missing is the comparison.
        config = tmp_path / "case-monitor.yaml"
        config.write_text(
            f"tracking_uri: {uri}\nprotocol: {{methods: [case], sample_size: 8}}\n"
            "policy:\n  min_samples: 6\n  thresholds: [{metric: accuracy, limit: 0.001, greater_is_better: true}]\n"
            "models:\n  answered:\n    split: {kind: npz, path: split.npz}\n"
        )
        return config

    return write


def registry_of_server(server: MlflowServer):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    return MlflowClient(server.uri, server.uri)


GET, BY_ALIAS = "registered-models/get", "registered-models/alias"


@pytest.mark.parametrize(
    "answers",
    [
        {BY_ALIAS: (200, {}), GET: (200, {})},
        {BY_ALIAS: NO_ALIAS, GET: (200, {})},
        {BY_ALIAS: NO_ALIAS},  # the model itself is answered with its alias
        {BY_ALIAS: (404, "<html>not found</html>"), GET: (200, {"registered_model": {"name": "answered"}})},
        {BY_ALIAS: (200, {"model_version": {"name": "other", "version": "2"}})},
    ],
    ids=lambda answers: json.dumps(answers)[:60],
)
def test_no_answer_of_a_registry_promotes_without_comparison(
    served: Callable[[str], Path],
    mlflow_server: MlflowServer,
    answers: dict[str, Answer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("case_monitor.steps.running.RETRY_DELAYS_S", (0,))
    newest = max(int(v.version) for v in registry_of_server(mlflow_server).search_model_versions("name = 'answered'"))
    without_prefect = temporary_settings(restore_defaults={PREFECT_API_URL})  # whose retries wait 20 seconds
    with answering(answers.get, mlflow_server.uri) as uri, without_prefect:
        config = served(uri)
        ran = run_cli("gate", f"answered/{newest}", cwd=config.parent)
    assert ran.code == 2, ran.out
    assert "model answered: " in ran.err
    found = registry_of_server(mlflow_server).get_model_version_by_alias("answered", "champion")
    assert int(found.version) == newest - 1
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM promotions")).scalar_one() == 0
