"""Promotion under adverse conditions: what is decided, what is moved, and what a crash in between leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, text

import flows.promote as promote_module
from case_monitor.core.errors import RegistryError, StaleEvidenceError
from case_monitor.core.records import Decision, ModelVersion, Status, Verdict
from flows.evaluate import EvaluationRequest, Outcome
from flows.promote import decide, promote
from tests.commands import registry_of
from tests.integration.conftest import Demo
from tests.integration.test_cli import CONFIG


def an_outcome(version: int, baseline: int | None, status: Status) -> Outcome:
    def model(number: int) -> ModelVersion:
        return ModelVersion(name="digits", version=number, run_id=None, digest=str(number))

    return Outcome(
        evaluation_id=7,
        model=model(version),
        baseline=model(baseline) if baseline else None,
        verdict=Verdict(status=status, sentence="because", results=()),
        alerts=(),
        run_id=None,
        artifact_uri=None,
        evaluation=None,
    )


@pytest.mark.parametrize(
    ("version", "baseline", "holder", "status", "decision"),
    [
        (1, None, None, Status.PASS, Decision.PROMOTED),
        (2, 1, 1, Status.PASS, Decision.PROMOTED),
        (2, None, 2, Status.PASS, Decision.KEPT),
        (2, 1, 2, Status.PASS, Decision.KEPT),  # a retry after the alias was moved
        (2, 1, 1, Status.FAIL, Decision.WITHHELD),
        (2, 1, 1, Status.INSUFFICIENT, Decision.WITHHELD),
        (2, None, 2, Status.FAIL, Decision.WITHHELD),
        (2, 1, 5, Status.FAIL, Decision.WITHHELD),
    ],
)
def test_only_a_pass_against_production_promotes(
    version: int, baseline: int | None, holder: int | None, status: Status, decision: Decision
) -> None:
    promotion = decide(an_outcome(version, baseline, status), "champion", holder)
    assert (promotion.decision, promotion.previous_version, promotion.evaluation_id) == (decision, holder, 7)


@pytest.mark.parametrize(("baseline", "holder"), [(1, 3), (None, 1), (1, None)])
def test_evidence_against_another_version_promotes_nothing(baseline: int | None, holder: int | None) -> None:
    with pytest.raises(StaleEvidenceError, match=r"alias champion of digits: version .* was expected"):
        decide(an_outcome(2, baseline, Status.PASS), "champion", holder)


@pytest.fixture
def challenger(demo: Demo, demo_copy: Callable[[str], Path]) -> tuple[Path, MlflowClient]:
    """Version 1 is in production again, and version 2 is to be gated."""
    config = demo_copy(CONFIG)
    client = registry_of(config)
    client.set_registered_model_alias("digits", "champion", "1")
    return config, client


def promotions(config: Path) -> list[tuple[str, bool]]:
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").connect() as connection:
        rows = connection.execute(text("SELECT decision, applied_at IS NOT NULL FROM promotions ORDER BY id"))
        return [(decision, bool(applied)) for decision, applied in rows]


def holder(client: MlflowClient) -> int:
    return int(client.get_model_version_by_alias("digits", "champion").version)


@pytest.mark.usefixtures("prefect_server")
def test_a_crash_before_the_alias_moves_is_mended_by_the_next_run(
    challenger: tuple[Path, MlflowClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, client = challenger
    request = EvaluationRequest(model="digits/2", config=str(config), reuse=True)

    def dies(*_: object) -> None:
        msg = "the registry went away"
        raise RegistryError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(promote_module, "move_alias", dies)
        with pytest.raises(RegistryError):
            promote(request)
    assert (promotions(config), holder(client)) == ([("promoted", False)], 1)

    assert promote(request).promotion.decision is Decision.PROMOTED
    assert (promotions(config), holder(client)) == ([("promoted", True)], 2)


@pytest.mark.usefixtures("prefect_server")
def test_somebody_else_promotes_while_the_decision_is_taken(
    challenger: tuple[Path, MlflowClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, client = challenger
    record = promote_module.record_decision

    def then_another_version_takes_the_alias(*args: object) -> object:
        promotion_id = record(*args)
        client.set_registered_model_alias("digits", "champion", "3")
        return promotion_id

    monkeypatch.setattr(promote_module, "record_decision", then_another_version_takes_the_alias)
    with pytest.raises(StaleEvidenceError):
        promote(EvaluationRequest(model="digits/2", config=str(config), reuse=True))
    assert (promotions(config), holder(client)) == ([("promoted", False)], 3)


@pytest.mark.usefixtures("prefect_server")
def test_a_second_move_after_a_rollback_by_hand_is_logged(challenger: tuple[Path, MlflowClient]) -> None:
    config, client = challenger
    request = EvaluationRequest(model="digits/2", config=str(config), reuse=True)
    promote(request)
    client.set_registered_model_alias("digits", "champion", "1")
    again = promote(request)
    assert again.outcome.evaluation is None  # the stored evidence, against the same production version
    assert (promotions(config), holder(client)) == ([("promoted", True), ("promoted", True)], 2)
