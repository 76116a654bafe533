"""Evidence back to MLflow: one monitoring run per evaluation, linked to the model version, and tags on the version."""

import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Experiment, LoggedModelInput, Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from case_monitor.domain.digests import digest
from case_monitor.domain.errors import NotFoundError, RegistryError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.findings import Findings
from case_monitor.evidence.pictures import save_figures
from case_monitor.evidence.reports import write_reports, write_tables
from case_monitor.registry.one_line import one_line

_KEY_TAG = "case_monitor.key"
_UNFIT_FOR_A_METRIC_NAME = re.compile(r"[^\w.\-/ ]")


@dataclass(frozen=True, slots=True)
class EvidenceRun:
    """Where the evidence lies."""

    run_id: str
    artifact_uri: str
    experiment_id: str


def log_evidence(
    findings: Findings, evaluation_id: int, *, tracking_uri: str, experiment: str, registry_uri: str | None = None
) -> EvidenceRun:
    """Write figures, reports, tables and metrics to the evaluation's run; a second call finds the same run.

    Raises:
        RegistryError: MLflow refused or could not be reached.
        NotFoundError: the model version is gone, or the experiment is deleted.
    """
    evaluation = findings.evaluation
    what = f"monitoring run of {evaluation.model}"
    with one_line(what):  # before the drawing, which takes seconds
        client = MlflowClient(tracking_uri, registry_uri or tracking_uri)
        model_id = _logged_model(client, evaluation)
        experiment_id = _experiment_id(client, experiment, tracking_uri)
    with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
        write_evidence(findings, Path(directory))
        with one_line(what):
            run_id = _find_or_create_run(client, experiment_id, evaluation)
            if model_id:  # a second time changes nothing
                client.log_inputs(run_id, models=[LoggedModelInput(model_id)])
            client.log_batch(
                run_id,
                metrics=_metrics(evaluation, model_id),
                tags=[RunTag(key, value) for key, value in run_tags(evaluation, evaluation_id).items()],
            )
            client.log_artifacts(run_id, directory)
            client.set_terminated(run_id)
            return EvidenceRun(run_id, str(client.get_run(run_id).info.artifact_uri), experiment_id)


def evidence_is_there(run_id: str, tracking_uri: str) -> bool:
    """Whether MLflow still has a run, and nobody deleted it.

    Raises:
        RegistryError: MLflow does not say.
    """
    with one_line(f"monitoring run {run_id}"):
        try:
            info = MlflowClient(tracking_uri).get_run(run_id).info
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        if info.run_id != run_id or info.lifecycle_stage not in {"active", "deleted"}:
            raise RegistryError(f"an answer about it was expected, one about {info.run_id or 'no run'} came")
        return bool(info.lifecycle_stage == "active")


def write_evidence(findings: Findings, directory: Path) -> None:
    """Everything for people and spreadsheets, below `directory`: figures/, reports/, tables/, alerts.json."""
    evaluation = findings.evaluation
    save_figures(evaluation, findings.gallery, directory / "figures")
    write_reports(evaluation, findings.baseline_preds, directory / "reports")
    write_tables(evaluation, directory / "tables")
    (directory / "tables" / "alerts.json").replace(directory / "alerts.json")


def version_tags(evaluation: Evaluation, evaluation_id: int, run_id: str) -> dict[str, str]:
    """Tags for the model version: what a person in the registry wants to know, and where to read on."""
    return {
        "case_monitor.verdict": evaluation.verdict.status,
        "case_monitor.reason": evaluation.verdict.sentence[:500],
        "case_monitor.evaluation_id": str(evaluation_id),
        "case_monitor.run_id": run_id,
        "case_monitor.gate_method": evaluation.policy.gate_method,
        "case_monitor.policy_digest": evaluation.provenance.policy_digest,
    }


def run_tags(evaluation: Evaluation, evaluation_id: int) -> dict[str, str]:
    """Tags for the monitoring run: identity and provenance."""
    provenance = evaluation.provenance
    return {
        _KEY_TAG: digest(evaluation.key),
        "mlflow.runName": f"{evaluation.model} on {evaluation.split.name}"[:250],
        "case_monitor.model_name": evaluation.model.name,
        "case_monitor.model_version": str(evaluation.model.version),
        "case_monitor.baseline_version": str(evaluation.baseline.version) if evaluation.baseline else "none",
        "case_monitor.verdict": evaluation.verdict.status,
        "case_monitor.evaluation_id": str(evaluation_id),
        "case_monitor.model_digest": evaluation.model.digest,
        "case_monitor.split_digest": evaluation.split.digest,
        "case_monitor.policy_digest": provenance.policy_digest,
        "case_monitor.protocol_digest": provenance.protocol_digest,
        "case_monitor.target_layer": provenance.target_layer,
        "case_monitor.layer_source": provenance.layer_source,
        "case_monitor.notes": " ".join(evaluation.verdict.notes)[:5000],
        "case_monitor.seed": str(provenance.protocol.seed),
        "case_monitor.torch_version": provenance.torch_version,
        "case_monitor.isolation": provenance.isolation or "none",
        **({"case_monitor.signer": evaluation.model.signer} if evaluation.model.signer else {}),
        "case_monitor.package_version": provenance.package_version,
    }


def metric_name(metric: str, method: str) -> str:
    """An MLflow metric name: `<method>/<metric>`; MLflow allows no plus sign."""
    safe = _UNFIT_FOR_A_METRIC_NAME.sub("_", method.replace("++", "_plus_plus"))
    return f"{safe}/{metric}" if safe else metric


def _metrics(evaluation: Evaluation, model_id: str | None) -> list[Metric]:
    now = int(time.time() * 1000)
    return [Metric(name, value, now, 0, model_id=model_id) for name, value in _figures(evaluation)]


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """Overall figures; per-class values are in the tables, since MLflow's page draws about 100 charts."""
    for s in evaluation.summaries:
        if s.class_idx is None and s.value == s.value:  # NaN is in the tables, where it can be told from 0
            yield metric_name(s.metric, s.method), s.value


def _find_or_create_run(client: MlflowClient, experiment_id: str, evaluation: Evaluation) -> str:
    key = digest(evaluation.key)
    found = client.search_runs([experiment_id], f"tags.`{_KEY_TAG}` = '{key}'", max_results=1)
    run = found[0] if found else client.create_run(experiment_id, tags={_KEY_TAG: key})
    return str(run.info.run_id)


def _logged_model(client: MlflowClient, evaluation: Evaluation) -> str | None:
    """The id of the logged model behind a version: `mv.model_id` is None, `mv.source` has it.

    None where there is no such model in the tracking server, as when the registry is another server.
    """
    source = client.get_model_version(evaluation.model.name, str(evaluation.model.version)).source or ""
    model_id = source.removeprefix("models:/")
    if not model_id.startswith("m-") or "/" in model_id:
        return None
    try:
        return str(client.get_logged_model(model_id).model_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _experiment_id(client: MlflowClient, name: str, tracking_uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return _active(found)
    # Without a server MLflow would put artifacts below the working directory of whoever comes first.
    return str(client.create_experiment(name, artifact_location=local_artifacts(tracking_uri, name)))


def _active(experiment: Experiment) -> str:
    if experiment.lifecycle_stage != "active":
        msg = f"experiment {experiment.name!r} is deleted in MLflow; restore it, or name another in the configuration"
        raise NotFoundError(msg)
    return str(experiment.experiment_id)


def local_artifacts(tracking_uri: str, experiment: str) -> str | None:
    """Beside the SQLite file, where there is no server to decide."""
    path = tracking_uri.removeprefix("sqlite:///")
    if path == tracking_uri:
        return None
    safe = re.sub(r"[^\w.\-]", "_", experiment)
    return (Path(path).absolute().parent / "mlartifacts" / safe).as_uri()
