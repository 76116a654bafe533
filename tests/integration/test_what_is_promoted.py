"""What is promoted is what was evaluated, on evidence that is there and not too old."""

import importlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import torch
from mlflow.tracking import MlflowClient
from prefect import get_client
from sqlalchemy import create_engine, text

import case_monitor.steps.moving as moving
import case_monitor.steps.promote as promote_module
from case_monitor.cli.gate_by_worker import _stored
from case_monitor.demo.models import PlainCNN
from case_monitor.domain.errors import ConfinementError, StaleEvidenceError, StoreError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Decision
from case_monitor.domain.status import Status
from case_monitor.isolation.confine.level import Level, available
from case_monitor.steps.evaluate import evaluate_version
from case_monitor.steps.outcomes import Gated
from case_monitor.steps.promote import promote
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.steps.running import run_flow
from case_monitor.store.migrate import upgrade
from tests.integration.test_cli import CONFIG
from tests.integration.test_promote import holder, promotions
from tests.support.commands import registry_of


@pytest.fixture
def replaceable(demo_copy: Callable[[str], Path], tmp_path: Path) -> tuple[Path, MlflowClient, Path]:
    """Version 4 is version 2 again, with files of its own; version 1 is in production."""
    config = demo_copy(CONFIG)
    client = registry_of(config)
    client.set_registered_model_alias("digits", "champion", "1")
    files = Path(client.get_model_version_download_uri("digits", "2").removeprefix("file://"))
    own = Path(shutil.copytree(files, tmp_path / "artifact"))
    assert int(client.create_model_version("digits", own.as_uri()).version) == 4
    return config, client, own


def gate(config: Path, version: int = 4) -> Gated:
    gated: Gated = run_flow(promote, EvaluationRequest(model=f"digits/{version}", config=str(config), reuse=True))
    return gated


def replace_files(folder: Path) -> None:
    (folder / "data" / "more.txt").write_text("another model")


def test_files_that_change_before_the_alias_moves(
    replaceable: tuple[Path, MlflowClient, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, client, files = replaceable
    record = promote_module.record_decision

    def then_somebody_replaces_the_files(*args: object) -> object:
        replace_files(files)
        return record(*args)

    monkeypatch.setattr(promote_module, "record_decision", then_somebody_replaces_the_files)
    with pytest.raises(StaleEvidenceError, match=r"digits/4: its files changed .* alias champion was not moved$"):
        gate(config)
    assert (promotions(config), holder(client)) == ([("promoted", False)], 1)


@pytest.mark.parametrize("before", [1, None])
def test_files_that_change_while_the_alias_moves(
    replaceable: tuple[Path, MlflowClient, Path], monkeypatch: pytest.MonkeyPatch, before: int | None
) -> None:
    config, client, files = replaceable
    if before is None:
        client.delete_registered_model_alias("digits", "champion")
    move = moving.move_alias

    def then_somebody_replaces_the_files(*args: object) -> None:
        move(*args)
        assert holder(client) == 4
        replace_files(files)

    monkeypatch.setattr(moving, "move_alias", then_somebody_replaces_the_files)
    done = "given back to version 1" if before else "taken from it"
    with pytest.raises(StaleEvidenceError, match=rf"digits/4: its files changed .* alias champion was {done}$"):
        gate(config)
    assert promotions(config) == [("promoted", False)]
    assert client.get_registered_model("digits").aliases == ({"champion": before} if before else {})


def test_files_that_are_said_to_have_changed_once_are_asked_for_again(
    replaceable: tuple[Path, MlflowClient, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that answers `{}` for the list of files, once, after the alias moved."""
    config, client, _ = replaceable
    read, said = moving.read_artifact_digest, [0]

    def short_once(*args: object) -> str:
        said[0] += 1
        return "f" * 64 if said[0] == 2 else str(read(*args))

    monkeypatch.setattr(moving, "read_artifact_digest", short_once)
    assert gate(config).promotion.decision is Decision.PROMOTED
    assert (promotions(config), holder(client), said) == ([("promoted", True)], 4, [3])


def test_a_move_of_files_that_changed_is_not_completed(
    replaceable: tuple[Path, MlflowClient, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, client, files = replaceable

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(promote_module, "confirm_decision", dies)
        with pytest.raises(KeyboardInterrupt):
            gate(config)
    assert (promotions(config), holder(client)) == ([("promoted", False)], 4)
    replace_files(files)
    gate(config, 3)
    assert promotions(config)[0] == ("promoted", False)


def evaluations(config: Path) -> list[tuple[int, str, str]]:
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").connect() as connection:
        rows = connection.execute(text("SELECT id, mlflow_run_id, updated_at FROM evaluations ORDER BY id"))
        return [tuple(row) for row in rows]


def make_old(config: Path, days: float) -> None:
    then = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").begin() as connection:
        connection.execute(text("UPDATE evaluations SET updated_at = :then"), {"then": then})


def test_evidence_that_is_gone_is_made_again(demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    gate(config, 3)
    [(first, run, _)] = evaluations(config)
    assert gate(config, 3).outcome.evaluation is None
    client = MlflowClient(f"sqlite:///{config.parent / 'mlflow.db'}")
    client.delete_run(run)
    again = gate(config, 3).outcome
    assert again.evaluation is not None
    [(second, new, _)] = evaluations(config)
    assert (second, new == run) == (first, False)
    assert client.get_run(new).info.lifecycle_stage == "active"
    assert gate(config, 3).outcome.evaluation is None


def test_evidence_of_any_age_counts_unless_the_policy_says_otherwise(
    demo_copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = demo_copy(CONFIG)
    gate(config, 3)
    make_old(config, 3000)
    assert gate(config, 3).outcome.evaluation is None
    config.write_text(config.read_text().replace("min_samples: 40", "min_samples: 40, max_age_days: 30"))
    assert gate(config, 3).outcome.evaluation is not None  # another policy
    make_old(config, 29)
    assert gate(config, 3).outcome.evaluation is None
    make_old(config, 31)
    assert gate(config, 3).outcome.evaluation is not None
    assert gate(config, 3).outcome.evaluation is None


def test_figures_of_another_release_or_torch_are_made_again(
    demo_copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = demo_copy(CONFIG)
    gate(config, 3)
    monkeypatch.setattr("case_monitor.domain.digests.FIGURES", 999)
    assert gate(config, 3).outcome.evaluation is not None
    assert len(evaluations(config)) == 2


@pytest.mark.usefixtures("prefect_server")
def test_the_decision_is_that_of_the_flow_run_that_was_started(
    demo_copy: Callable[[str], Path], tmp_path: Path
) -> None:
    config = demo_copy(CONFIG)
    database = f"sqlite:///{config.parent / 'case-monitor.db'}"
    ref = ModelRef("digits", version=3)
    decided = []
    for _ in range(2):
        before = known_runs()
        promote(EvaluationRequest(model="digits/3", config=str(config), reuse=True))
        [run] = known_runs() - before
        decided.append(_stored(database, ref, str(run)))
    assert [promotion.decision for _, promotion in decided] == [Decision.WITHHELD] * 2
    assert decided[0] == decided[1]  # one entry: the second run said the same
    assert decided[0][0].baseline is not None
    assert decided[0][0].baseline.version == 2

    other = f"sqlite:///{tmp_path / 'other.db'}"
    upgrade(other)
    shutil.copy(config.parent / "case-monitor.db", tmp_path / "older.db")
    promote(EvaluationRequest(model="digits/3", config=str(config), reuse=True))
    [last] = known_runs() - before - {run}
    for url in (other, f"sqlite:///{tmp_path / 'older.db'}"):  # the second knows an older decision on this version
        with pytest.raises(StoreError, match="worker and this command use different databases"):
            _stored(url, ref, str(last))
    with pytest.raises(StoreError, match="on digits/2 is not stored here"):
        _stored(database, ModelRef("digits", version=2), str(last))


def known_runs() -> set[UUID]:
    with get_client(sync_client=True) as client:
        return {run.id for run in client.read_flow_runs() if run.name == "promote digits/3"}


@pytest.fixture
def passed(demo_copy: Callable[[str], Path]) -> tuple[Path, MlflowClient]:
    """Version 2 passed a check against version 1, which is in production."""
    config = demo_copy(CONFIG)
    client = registry_of(config)
    client.set_registered_model_alias("digits", "champion", "1")
    request = EvaluationRequest(model="digits/2", config=str(config))
    assert run_flow(evaluate_version, request).verdict.status is Status.PASS
    return config, client


def test_a_stored_pass_of_a_model_that_was_not_confined_does_not_count_where_that_is_required(
    passed: tuple[Path, MlflowClient],
) -> None:
    config, _ = passed
    before = evaluations(config)
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").begin() as connection:
        stored = connection.execute(text("SELECT isolation FROM evaluations")).scalars().all()
        assert set(stored) == {available().value}
        connection.execute(text("UPDATE evaluations SET isolation = 'process'"))
    gate(config, 2)
    assert evaluations(config) == before  # where it is not required, it counts
    config.write_text(config.read_text() + "isolation: {level: required}\n")
    if available() is not Level.CONFINED:
        with pytest.raises(ConfinementError, match=r"^isolation: required, and this machine cannot confine a model"):
            gate(config, 2)
        return
    gate(config, 2)
    assert [row[2] for row in evaluations(config)] != [row[2] for row in before]


def test_a_stored_pass_counts_where_it_comes_out_again(passed: tuple[Path, MlflowClient]) -> None:
    config, client = passed
    gated = gate(config, 2)
    assert (gated.outcome.evaluation, gated.promotion.decision, holder(client)) == (None, Decision.PROMOTED, 2)


BESIDE = """
from case_monitor.demo.models import PlainCNN

class Network(PlainCNN):
    def forward(self, images):
        return super().forward(images).roll({places}, 1)
"""


def test_a_stored_pass_of_code_that_changed_since_promotes_nothing(
    demo_copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class stands in a module beside the artifact, whose SHA-256 stays."""
    config = demo_copy(CONFIG)
    client = registry_of(config)
    client.set_registered_model_alias("digits", "champion", "1")
    code = tmp_path / "code" / "beside.py"
    code.parent.mkdir()
    code.write_text(BESIDE.format(places=0))
    monkeypatch.syspath_prepend(code.parent)
    monkeypatch.setenv("CASE_MONITOR_ISOLATION__READABLE", json.dumps([str(code.parent)]))
    version = _registered_with(client, importlib.import_module("beside").Network)
    request = EvaluationRequest(model=f"digits/{version}", config=str(config))
    assert run_flow(evaluate_version, request).verdict.status is Status.PASS
    before = len(evaluations(config))
    code.write_text(BESIDE.format(places=11))
    gated = gate(config, version)
    assert (gated.promotion.decision, holder(client)) == (Decision.WITHHELD, 1)
    assert gated.outcome.evaluation is not None
    assert any("no longer gives the stored figures" in note for note in gated.outcome.verdict.notes)
    assert len(evaluations(config)) == before  # the same inputs: what was stored is replaced


def _registered_with(client: MlflowClient, kind: type[PlainCNN]) -> int:
    """Version 2's weights in another class, which is logged by its name alone."""
    files = Path(client.get_model_version_download_uri("digits", "2").removeprefix("file://"))
    model = torch.load(files / "data" / "model.pth", weights_only=False)
    model.__class__ = kind
    own = Path(shutil.copytree(files, files.parent / "beside"))
    torch.save(model, own / "data" / "model.pth")
    return int(client.create_model_version("digits", own.as_uri()).version)


def test_a_stored_pass_without_its_scores_is_measured_anew(passed: tuple[Path, MlflowClient]) -> None:
    config, client = passed
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").begin() as connection:
        connection.execute(text("DELETE FROM sample_scores"))
    gated = gate(config, 2)
    assert gated.outcome.evaluation is not None
    assert any("are gone" in note for note in gated.outcome.verdict.notes)
    assert (gated.promotion.decision, holder(client)) == (Decision.PROMOTED, 2)
