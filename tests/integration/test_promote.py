"""Promotion under adverse conditions: what is decided, what is moved, and what a crash in between leaves."""

from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, text

import case_monitor.steps.moving as moving
import case_monitor.steps.promote as promote_module
from case_monitor.domain.errors import RegistryError, StaleEvidenceError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Decision
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import Verdict
from case_monitor.steps.evaluate import evaluate_version
from case_monitor.steps.outcomes import Outcome
from case_monitor.steps.promote import decide, promote
from case_monitor.steps.requests import EvaluationRequest
from tests.integration.conftest import Demo
from tests.integration.test_cli import CONFIG
from tests.support.commands import registry_of

ROOT = Path(__file__).parents[2]


def an_outcome(version: int, baseline: int | None, status: Status) -> Outcome:
    def model(number: int) -> ModelVersion:
        return ModelVersion(name="digits", version=number, run_id=None, digest=str(number))

    return Outcome(
        evaluation_id=7,
        model=model(version),
        baseline=model(baseline) if baseline else None,
        verdict=Verdict(status=status, sentence="because", results=()),
        alerts=(),
        other_rules="",
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


@pytest.mark.parametrize(
    ("version", "holder", "forward_only", "decision"),
    [
        (2, 5, True, Decision.WITHHELD),
        (2, 5, False, Decision.PROMOTED),  # a person goes back to it
        (6, 5, True, Decision.PROMOTED),
        (2, None, True, Decision.PROMOTED),
        (5, 5, True, Decision.KEPT),
    ],
)
def test_a_trigger_never_goes_back_to_an_older_version(
    version: int, holder: int | None, forward_only: bool, decision: Decision
) -> None:
    outcome = an_outcome(version, holder, Status.PASS)
    promotion = decide(outcome, "champion", holder, forward_only=forward_only)
    assert promotion.decision is decision
    newer = "because But version 5, which is newer, holds alias champion."
    assert promotion.reason == (newer if decision is Decision.WITHHELD else "because")


def test_the_trigger_can_be_moved_to_it() -> None:
    """As the comment in prefect.yaml says."""
    deployments = {d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
    [trigger] = deployments["evaluate-version"]["triggers"]
    evaluate_version.validate_parameters(trigger["parameters"])
    promote.validate_parameters({**trigger["parameters"], "forward_only": True})


def a_challenger(demo: Demo, folder: Path) -> tuple[Path, MlflowClient]:
    """Version 1 is in production again, and version 2 is to be gated."""
    config = demo.copy(CONFIG, folder)
    client = registry_of(config)
    client.set_registered_model_alias("digits", "champion", "1")
    return config, client


@pytest.fixture
def challenger(demo: Demo, tmp_path: Path) -> tuple[Path, MlflowClient]:
    """Of this test alone."""
    return a_challenger(demo, tmp_path)


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
        patch.setattr(moving, "move_alias", dies)
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


@pytest.mark.usefixtures("prefect_server")
def test_of_two_versions_that_pass_the_newer_stays(challenger: tuple[Path, MlflowClient]) -> None:
    """The older one is ready last, as happens to versions registered together."""
    config, client = challenger
    older = client.get_model_version("digits", "2")
    newer = int(client.create_model_version("digits", older.source, older.run_id).version)
    client.set_registered_model_alias("digits", "champion", str(newer))
    request = EvaluationRequest(model="digits/2", config=str(config), reuse=True)
    gated = promote(request, forward_only=True)
    assert (gated.outcome.verdict.status, gated.promotion.decision) == (Status.PASS, Decision.WITHHELD)
    assert (promotions(config), holder(client)) == ([("withheld", True)], newer)
    back = promote(request)
    assert (back.promotion.decision, holder(client)) == (Decision.PROMOTED, 2)
