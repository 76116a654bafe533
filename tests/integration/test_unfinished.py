"""A gate that died, or is run again: the alias is where the log says, and the same evidence gives the same answer."""

import shutil
import signal
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from case_monitor.domain.promotion import Decision
from case_monitor.steps.nightly import nightly
from case_monitor.steps.promote import promote
from case_monitor.steps.requests import EvaluationRequest, NightlyRequest
from case_monitor.steps.running import run_flow
from tests.integration.conftest import Demo
from tests.integration.test_promote import a_challenger, challenger, holder, promotions
from tests.support.commands import registry_of
from tests.support.forked_commands import Forked

__all__ = ["challenger"]

DIES_AFTER_THE_MOVE = """
import os, signal, sys
import case_monitor.steps.promote
case_monitor.steps.promote.confirm_decision = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.steps.running import run_flow
run_flow(case_monitor.steps.promote.promote, EvaluationRequest(model="digits/2", config=sys.argv[1], reuse=True))
"""


def request(config: Path) -> EvaluationRequest:
    return EvaluationRequest(model="digits/2", config=str(config), reuse=True)


@pytest.fixture(scope="module")
def died(demo: Demo, tmp_path_factory: pytest.TempPathFactory, forked_cli: Forked) -> Path:
    """The folder of a gate of version 2 that died right after it had moved the alias."""
    config, _ = a_challenger(demo, tmp_path_factory.mktemp("died"))
    ran = forked_cli(str(config), code=DIES_AFTER_THE_MOVE, cwd=config.parent)
    assert ran.code == -signal.SIGKILL, ran.err
    return config.parent


@pytest.fixture
def killed(died: Path, tmp_path: Path) -> tuple[Path, MlflowClient]:
    """A copy of it."""
    config = Path(shutil.copytree(died, tmp_path / "copy")) / "case-monitor.yaml"
    client = registry_of(config)
    assert (promotions(config), holder(client)) == ([("promoted", False)], 2)
    return config, client


def test_a_gate_that_died_after_the_move_is_completed_and_answers_as_it_would_have(
    killed: tuple[Path, MlflowClient],
) -> None:
    config, client = killed
    gated = run_flow(promote, request(config))
    assert (promotions(config), holder(client)) == ([("promoted", True), ("kept", True)], 2)
    assert gated.promotion.decision is Decision.KEPT
    assert gated.outcome.evaluation is None  # the same evidence
    assert gated.outcome.baseline is not None
    assert gated.outcome.baseline.version == 1  # judged against what it replaced, not as in production
    again = run_flow(promote, request(config))
    assert (again.outcome, again.promotion) == (gated.outcome, gated.promotion)
    assert promotions(config) == [("promoted", True), ("kept", True)]


def test_the_nightly_check_completes_it_too(killed: tuple[Path, MlflowClient]) -> None:
    config, _ = killed
    [night] = run_flow(nightly, NightlyRequest(config=str(config)))
    assert (night.version, promotions(config)) == (2, [("promoted", True)])


def test_a_move_that_somebody_took_back_stays_open(killed: tuple[Path, MlflowClient]) -> None:
    """Its version does not hold the alias, so it was not done."""
    config, client = killed
    client.set_registered_model_alias("digits", "champion", "1")
    run_flow(nightly, NightlyRequest(config=str(config)))
    assert promotions(config) == [("promoted", False)]


def test_other_rules_are_another_question(challenger: tuple[Path, MlflowClient]) -> None:
    config, _ = challenger
    first = run_flow(promote, request(config))
    assert first.promotion.decision is Decision.PROMOTED
    assert run_flow(promote, request(config)).outcome.evaluation_id == first.outcome.evaluation_id
    config.write_text(config.read_text().replace("min_samples: 40", "min_samples: 40, confidence_level: 0.9"))
    other = run_flow(promote, request(config))
    assert other.outcome.evaluation is not None
    assert (other.outcome.evaluation.in_production, other.outcome.baseline) == (True, None)
