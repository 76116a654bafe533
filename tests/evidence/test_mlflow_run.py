"""Evidence in real MLflow, on a SQLite file and over HTTP: one run per evaluation, complete and linked."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from torch import nn

from case_monitor.domain.digests import digest
from case_monitor.domain.errors import NotFoundError, RegistryError
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.status import Status
from case_monitor.evidence.made import made_evidence, metric_name, run_tags
from case_monitor.evidence.mlflow_run import (
    EvidenceRun,
    evidence_is_there,
    local_artifacts,
    log_evidence,
    pointing_tags,
)
from case_monitor.registry.client import Registry
from tests.support.factories import METHODS, a_gallery, an_evaluation
from tests.support.mlflow_registries import MlflowServer
from tests.support.registries import Answer, answering
from tests.support.servers import free_port

FIGURES = {
    *("confusion_matrix", "contrast", "agreement_histograms", "fidelity"),
    *("gallery", "saliency_maps", "channel_activity", "model_inputs"),
}
ARTIFACTS = (
    {f"figures/{name}.png" for name in FIGURES}
    | {"reports/quality_by_label.html"}
    | {f"tables/{name}.csv" for name in ("class_metrics", "summaries", "contrast_sets")}
    | {f"tables/{name}.parquet" for name in ("sample_scores", "predictions")}
    | {"alerts.json"}
)
HOSTILE = ("<script>alert(1)</script>", "../../up", "$x^", "=cmd()", "\u202e \U0001f600", 'quo"te')


def some_findings(name: str, version: int, *, baseline: ModelVersion | None = None, **changes: object) -> Findings:
    evaluation = an_evaluation(name=name, version=version, baseline=baseline, **changes)  # type: ignore[arg-type]
    baseline_preds = an_evaluation(seed=1).preds if baseline else None
    return Findings(evaluation=evaluation, gallery=a_gallery(evaluation), baseline_preds=baseline_preds)


def test_of_several_runs_of_a_key_the_oldest_stays(
    mlflow_database: str, mlflow_globals: None, log_version: Callable[..., int]
) -> None:
    """A server that made a run and could not say so was asked again."""
    findings = some_findings("twice", log_version(mlflow_database, "twice", nn.Linear(1, 1)))
    client = MlflowClient(mlflow_database)
    experiment = client.create_experiment("twice", local_artifacts(mlflow_database, "twice"))
    tags = {"case_monitor.key": digest(findings.evaluation.key)}
    runs = [client.create_run(experiment, start_time=time, tags=tags).info.run_id for time in (2000, 1000, 3000)]
    run = log_evidence(made_evidence(findings), 1, tracking_uri=mlflow_database, experiment="twice")
    assert run.run_id == runs[1]
    assert [found.info.run_id for found in client.search_runs([experiment])] == [runs[1]]


@pytest.mark.parametrize(("kept", "said"), [(None, "it is not there"), (b"{", "1 bytes of it are there")])
def test_a_file_that_was_lost_on_the_way_is_seen(
    mlflow_database: str,
    mlflow_globals: None,
    log_version: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    kept: bytes | None,
    said: str,
) -> None:
    """A proxy says 200 and stores nothing, or half; the run is not finished, and the next try completes it."""
    log_artifacts = MlflowClient.log_artifacts

    def losing(client: MlflowClient, run_id: str, local_dir: str) -> None:
        file = Path(local_dir) / "alerts.json"
        content = file.read_bytes()
        file.unlink() if kept is None else file.write_bytes(kept)
        log_artifacts(client, run_id, local_dir)
        file.write_bytes(content)

    name = "lost" if kept is None else "cut short"
    findings = some_findings(name, log_version(mlflow_database, name, nn.Linear(1, 1)))
    monkeypatch.setattr(MlflowClient, "log_artifacts", losing)
    with pytest.raises(RegistryError, match=f"artifact alerts.json was sent, .* bytes, and {said}"):
        log_evidence(made_evidence(findings), 1, tracking_uri=mlflow_database, experiment=name)
    monkeypatch.undo()
    client = MlflowClient(mlflow_database)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    [begun] = client.search_runs([experiment.experiment_id])
    assert begun.info.status == "RUNNING"
    run = log_evidence(made_evidence(findings), 1, tracking_uri=mlflow_database, experiment=name)
    assert run.run_id == begun.info.run_id
    assert client.get_run(run.run_id).info.status == "FINISHED"
    assert set(files_below(client, run.run_id)) == ARTIFACTS - {"reports/quality_by_label.html"} | {
        name for name in files_below(client, run.run_id) if name.startswith("reports/")
    }


def files_below(client: MlflowClient, run_id: str, path: str = "") -> Iterator[str]:
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from files_below(client, run_id, entry.path)
        else:
            yield entry.path


@dataclass(frozen=True)
class Logged:
    """Findings that were logged twice, with 7 as the evaluation's id, and what is there now."""

    client: MlflowClient
    experiment_id: str
    findings: Findings
    first: EvidenceRun
    second: EvidenceRun

    @property
    def run(self) -> Run:
        return self.client.get_run(self.second.run_id)


@pytest.fixture(params=["sqlite", "http"])
def uri(request: pytest.FixtureRequest, mlflow_globals: None) -> str:
    if request.param == "http":
        return str(request.getfixturevalue("mlflow_server").uri)
    return str(request.getfixturevalue("mlflow_database"))


_LOGGED: dict[str, Logged] = {}


@pytest.fixture
def logged(uri: str, log_version: Callable[..., int]) -> Logged:
    """Logged once per server: this takes seconds, and the tests only read."""
    if uri not in _LOGGED:
        version = log_version(uri, "tracked", nn.Linear(1, 1))
        baseline = ModelVersion(name="tracked", version=77, run_id=None, digest="7" * 64)
        findings = some_findings("tracked", version, baseline=baseline)
        evidence = made_evidence(findings)
        first, second = (log_evidence(evidence, 7, tracking_uri=uri, experiment="evidence") for _ in range(2))
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name("evidence")
        _LOGGED[uri] = Logged(client, experiment.experiment_id, findings, first, second)
    return _LOGGED[uri]


class TestRun:
    def test_two_calls_give_one_run(self, logged: Logged) -> None:
        runs = logged.client.search_runs([logged.experiment_id])
        assert [run.info.run_id for run in runs] == [logged.first.run_id]
        assert logged.first == logged.second
        assert logged.first.experiment_id == logged.experiment_id

    def test_it_is_finished_and_has_a_name(self, logged: Logged) -> None:
        assert logged.run.info.status == "FINISHED"
        assert logged.run.info.run_name == f"{logged.findings.evaluation.model} on val"

    def test_the_artifacts_are_where_it_says(self, logged: Logged) -> None:
        assert logged.second.artifact_uri == logged.run.info.artifact_uri

    def test_its_tags_say_what_was_evaluated_and_how(self, logged: Logged) -> None:
        evaluation, tags = logged.findings.evaluation, logged.run.data.tags
        assert tags["case_monitor.model_name"] == "tracked"
        assert tags["case_monitor.model_version"] == str(evaluation.model.version)
        assert tags["case_monitor.baseline_version"] == "77"
        assert tags["case_monitor.verdict"] == "fail"
        assert tags["case_monitor.evaluation_id"] == "7"
        assert tags["case_monitor.split_digest"] == "5" * 64
        assert run_tags(evaluation).items() <= tags.items()

    def test_the_model_version_is_its_input(self, logged: Logged) -> None:
        version = logged.client.get_model_version("tracked", str(logged.findings.evaluation.model.version))
        inputs = [model.model_id for model in logged.run.inputs.model_inputs]
        assert [f"models:/{model_id}" for model_id in inputs] == [version.source]

    def test_the_models_own_page_shows_the_metrics(self, logged: Logged) -> None:
        (model,) = logged.run.inputs.model_inputs
        metrics = {
            metric.key: metric.value
            for metric in logged.client.get_logged_model(model.model_id).metrics
            if metric.run_id == logged.second.run_id
        }
        assert metrics == pytest.approx(logged.run.data.metrics)
        assert "case/agreement_median" in metrics


class TestMetrics:
    def test_every_overall_figure_is_there_with_its_value(self, logged: Logged) -> None:
        expected = {
            metric_name(s.metric, s.method): s.value
            for s in logged.findings.evaluation.summaries
            if s.class_idx is None and s.metric != "accuracy_vs_baseline"
        }
        assert logged.run.data.metrics == pytest.approx(expected)
        assert len(expected) == 2 + 7 * len(METHODS)

    def test_they_are_grouped_by_method(self, logged: Logged) -> None:
        metrics, evaluation = logged.run.data.metrics, logged.findings.evaluation
        assert metrics["accuracy"] == 0.9
        for method, group in (("case", "case"), ("gradcam", "gradcam"), ("gradcam++", "gradcam_plus_plus")):
            summary = evaluation.summary("agreement_median", method)
            assert summary is not None
            assert metrics[f"{group}/agreement_median"] == pytest.approx(summary.value)

    def test_what_is_undefined_is_left_out(self, logged: Logged) -> None:
        assert logged.findings.evaluation.summary("accuracy_vs_baseline") is not None
        assert "accuracy_vs_baseline" not in logged.run.data.metrics

    @pytest.mark.parametrize(
        ("metric", "method", "name"),
        [
            ("accuracy", "", "accuracy"),
            ("agreement_mean", "case", "case/agreement_mean"),
            ("agreement_mean", "gradcam++", "gradcam_plus_plus/agreement_mean"),
            ("confidence_drop_12.5_blur", "a:b", "a_b/confidence_drop_12.5_blur"),
        ],
    )
    def test_names_are_what_mlflow_allows(self, metric: str, method: str, name: str) -> None:
        assert metric_name(metric, method) == name


class TestArtifacts:
    def test_all_of_them_are_listed_once(self, logged: Logged) -> None:
        files = list(files_below(logged.client, logged.second.run_id))
        assert sorted(files) == sorted(ARTIFACTS | {"reports/prediction_drift.html"})

    def test_they_can_be_read_back(self, uri: str, logged: Logged, tmp_path: Path) -> None:
        folder = Path(download_artifacts(run_id=logged.second.run_id, dst_path=str(tmp_path), tracking_uri=uri))
        assert (folder / "figures" / "gallery.png").read_bytes().startswith(b"\x89PNG")
        assert "<html" in (folder / "reports" / "prediction_drift.html").read_text()
        assert len(pd.read_parquet(folder / "tables" / "predictions.parquet")) == 40
        alerts = json.loads((folder / "alerts.json").read_text())
        assert [alert["rule"] for alert in alerts] == ["agreement_median"]


def test_without_a_baseline_there_is_no_drift_report_and_a_link_is_not_needed(sqlite_tracking: str) -> None:
    """The version was registered from files: there is no logged model to link to."""
    client = MlflowClient(sqlite_tracking)
    client.create_registered_model("from files")
    client.create_model_version("from files", Path(__file__).parent.as_uri())
    findings = some_findings("from files", 1, status=Status.PASS)
    run = log_evidence(made_evidence(findings), 1, tracking_uri=sqlite_tracking, experiment="from files")
    assert set(files_below(client, run.run_id)) == ARTIFACTS
    assert client.get_run(run.run_id).inputs.model_inputs == []
    assert client.get_run(run.run_id).data.tags["case_monitor.baseline_version"] == "none"


def test_a_run_that_was_begun_is_completed_and_another_evaluations_is_left(
    mlflow_database: str, log_version: Callable[..., int]
) -> None:
    version = log_version(mlflow_database, "begun", nn.Linear(1, 1))
    findings = some_findings("begun", version)
    evaluation = findings.evaluation
    other = replace(evaluation, split=replace(evaluation.split, digest="6" * 64))
    client = MlflowClient(mlflow_database)
    experiment = client.create_experiment("begun", local_artifacts(mlflow_database, "begun"))
    keys = [digest(e.key) for e in (other, evaluation, other)]
    runs = [client.create_run(experiment, tags={"case_monitor.key": key}).info.run_id for key in keys]
    run = log_evidence(made_evidence(findings), 1, tracking_uri=mlflow_database, experiment="begun")
    assert run.run_id == runs[1]
    assert len(client.get_run(runs[1]).inputs.model_inputs) == 1
    assert [client.get_run(run_id).info.status for run_id in runs] == ["RUNNING", "FINISHED", "RUNNING"]


def test_hostile_names_stay_text(mlflow_server: MlflowServer, log_version: Callable[..., int]) -> None:
    uri = mlflow_server.uri
    name = "<b>we're 'at' home@work; DROP TABLE runs -- ä%s{}"  # MLflow refuses slashes and colons itself
    version = log_version(uri, name, nn.Linear(1, 1))
    findings = some_findings(name, version, class_names=HOSTILE)
    run = log_evidence(made_evidence(findings), 1, tracking_uri=uri, experiment="it's <i>hostile</i>/../x")
    client = MlflowClient(uri)
    assert set(files_below(client, run.run_id)) == ARTIFACTS
    assert client.get_run(run.run_id).data.tags["case_monitor.model_name"] == name
    Registry(uri).set_tags(name, version, pointing_tags(made_evidence(findings), 1, run.run_id))
    tags = client.get_model_version(name, str(version)).tags
    assert tags["case_monitor.run_id"] == run.run_id


def test_version_tags_tell_the_verdict_and_where_to_read_on() -> None:
    evaluation = an_evaluation(version=4)
    long = replace(evaluation, verdict=replace(evaluation.verdict, sentence="x" * 9000))
    assert pointing_tags(
        made_evidence(Findings(evaluation=long, gallery=a_gallery(long), baseline_preds=None)), 12, "r9"
    ) == {
        "case_monitor.verdict": "fail",
        "case_monitor.reason": "x" * 500,
        "case_monitor.evaluation_id": "12",
        "case_monitor.run_id": "r9",
        "case_monitor.gate_method": "case",
        "case_monitor.policy_digest": "b" * 64,
    }


class TestFailures:
    def test_a_deleted_experiment_is_said_and_not_tried_again(self, uri: str, log_version: Callable[..., int]) -> None:
        version = log_version(uri, "tracked", nn.Linear(1, 1))
        client = MlflowClient(uri)
        client.delete_experiment(client.create_experiment("deleted"))
        said = r"^monitoring run of tracked/\d+: experiment 'deleted' is deleted in MLflow; restore it, or name "
        with pytest.raises(NotFoundError, match=said):
            log_evidence(made_evidence(some_findings("tracked", version)), 1, tracking_uri=uri, experiment="deleted")

    def test_a_version_that_is_gone_is_said(self, mlflow_database: str, mlflow_globals: None) -> None:
        with pytest.raises(NotFoundError, match=r"^monitoring run of nobody/1: .*not found"):
            log_evidence(made_evidence(some_findings("nobody", 1)), 1, tracking_uri=mlflow_database, experiment="gone")

    def test_a_dead_server_is_said(self, mlflow_globals: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        uri = f"http://me:hunter2@127.0.0.1:{free_port()}"
        with pytest.raises(RegistryError, match=r"^monitoring run of tracked/1: ") as caught:
            log_evidence(made_evidence(some_findings("tracked", 1)), 1, tracking_uri=uri, experiment="x")
        assert not isinstance(caught.value, NotFoundError)
        assert "hunter2" not in str(caught.value)


class TestWhetherEvidenceIsThere:
    def test_a_run_that_is_deleted_or_unknown_is_not(self, uri: str, mlflow_globals: None) -> None:
        client = MlflowClient(uri, uri)
        run_id = client.create_run("0").info.run_id
        assert evidence_is_there(run_id, uri)
        client.delete_run(run_id)
        assert not evidence_is_there(run_id, uri)
        assert not evidence_is_there("0" * 32, uri)

    @pytest.mark.parametrize(
        "answer",
        [
            (200, {}),
            (200, {"run": {"info": {"run_id": "another", "lifecycle_stage": "active"}}}),
            (200, {"run": {"info": {"run_id": "one", "lifecycle_stage": "odd"}}}),
            (403, {"error_code": "PERMISSION_DENIED", "message": "not yours"}),
            (500, "down"),
        ],
    )
    def test_anything_else_is_no_answer(
        self, mlflow_globals: None, monkeypatch: pytest.MonkeyPatch, answer: Answer
    ) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with answering(lambda _: answer) as uri, pytest.raises(RegistryError, match=r"^monitoring run one: "):
            evidence_is_there("one", uri)


class TestPlaces:
    def test_without_a_server_artifacts_lie_beside_the_database(
        self, mlflow_database: str, log_version: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = log_version(mlflow_database, "placed", nn.Linear(1, 1))
        monkeypatch.chdir(tmp_path)
        run = log_evidence(
            made_evidence(some_findings("placed", version)), 1, tracking_uri=mlflow_database, experiment="a/b c"
        )
        beside = Path(mlflow_database.removeprefix("sqlite:///")).parent / "mlartifacts" / "a_b_c"
        assert run.artifact_uri.startswith(beside.as_uri() + "/")
        assert (beside / run.run_id / "artifacts" / "alerts.json").exists()
        assert list(tmp_path.iterdir()) == []

    def test_a_server_decides_itself(self) -> None:
        assert local_artifacts("http://127.0.0.1:5000", "x") is None

    def test_the_registry_can_be_another_server(
        self, mlflow_database: str, log_version: Callable[..., int], mlflow_server: MlflowServer
    ) -> None:
        """Its logged model is unknown to the tracking server, so the run has tags and metrics, and no link."""
        version = log_version(mlflow_database, "elsewhere", nn.Linear(1, 1))
        run = log_evidence(
            made_evidence(some_findings("elsewhere", version)),
            1,
            tracking_uri=mlflow_server.uri,
            registry_uri=mlflow_database,
            experiment="elsewhere",
        )
        client = MlflowClient(mlflow_server.uri, mlflow_server.uri)
        assert client.get_run(run.run_id).data.metrics["accuracy"] == 0.9
        with pytest.raises(MlflowException):
            client.get_registered_model("elsewhere")


@pytest.mark.parametrize("wanted", [True, False])
def test_evidentlys_reports_are_there_where_they_are_wanted(wanted: bool) -> None:
    evidence = made_evidence(some_findings("m", 1), evidently_reports=wanted)
    with zipfile.ZipFile(io.BytesIO(evidence.files)) as files:
        assert ("reports/quality_by_label.html" in files.namelist()) is wanted
        assert set(files.namelist()) >= ARTIFACTS - {"reports/quality_by_label.html"}
