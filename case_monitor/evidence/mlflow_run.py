"""Evidence back to MLflow: one monitoring run per evaluation, linked to the model version, and tags on the version."""

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Experiment, LoggedModelInput, Metric, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from case_monitor.domain.digests import digest
from case_monitor.domain.errors import NotFoundError, RegistryError
from case_monitor.domain.evidence import Evidence
from case_monitor.registry.one_line import one_line

_KEY_TAG = "case_monitor.key"


@dataclass(frozen=True, slots=True)
class EvidenceRun:
    """Where the evidence lies."""

    run_id: str
    artifact_uri: str
    experiment_id: str


def log_evidence(
    evidence: Evidence, evaluation_id: int, *, tracking_uri: str, experiment: str, registry_uri: str | None = None
) -> EvidenceRun:
    """Write figures, reports, tables and metrics to the evaluation's run; a second call finds the same run.

    Raises:
        RegistryError: MLflow refused or could not be reached.
        NotFoundError: the model version is gone, or the experiment is deleted.
    """
    with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
        _unpack(evidence.files, Path(directory))
        with one_line(f"monitoring run of {evidence.model_name}/{evidence.version}"):
            client = MlflowClient(tracking_uri, registry_uri or tracking_uri)
            model_id = _logged_model(client, evidence.model_name, evidence.version)
            experiment_id = _experiment_id(client, experiment, tracking_uri)
            run_id = _only_run(client, experiment_id, evidence.key)
            if model_id:  # a second time changes nothing
                client.log_inputs(run_id, models=[LoggedModelInput(model_id)])
            tags = {**evidence.run_tags, _KEY_TAG: evidence.key, **_id_tag(evaluation_id)}
            client.log_batch(
                run_id,
                metrics=_metrics(evidence, model_id),
                tags=[RunTag(key, value) for key, value in tags.items()],
            )
            client.log_artifacts(run_id, directory)
            _require_files(client, run_id, Path(directory))
            client.set_terminated(run_id)
            run = client.get_run(run_id)
            _require_content(run, evidence, tags)
            return EvidenceRun(run_id, str(run.info.artifact_uri), experiment_id)


def make_tracking_database(file: Path) -> None:
    """Make MLflow's SQLite file where there is none, whole or not at all: MLflow cannot go on with half of one.

    Raises:
        RegistryError: it cannot be made.
    """
    if file.exists():
        return
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)
    with one_line(f"MLflow's database {file}"):
        MlflowClient(f"sqlite:///{partial}").search_experiments()
    partial.replace(file)


def log_folder(
    directory: Path, files: Sequence[Path], *, name: str, tracking_uri: str, experiment: str, key: str = ""
) -> EvidenceRun:
    """Keep files of a directory in a run; a second call with the same key, or else name, finds the same run.

    Raises:
        RegistryError: MLflow refused or could not be reached.
    """
    with one_line(f"run of {name}"):
        client = MlflowClient(tracking_uri)
        experiment_id = _experiment_id(client, experiment, tracking_uri)
        run_id = _only_run(client, experiment_id, digest(["folder", key or name]))
        client.set_tag(run_id, "mlflow.runName", name[:250])
        for file in files:
            folder = file.relative_to(directory).parent.as_posix()
            client.log_artifact(run_id, str(file), None if folder == "." else folder)
        client.set_terminated(run_id)
        return EvidenceRun(run_id, str(client.get_run(run_id).info.artifact_uri), experiment_id)


def _require_files(client: MlflowClient, run_id: str, directory: Path) -> None:
    """See that what was sent is there: a proxy may answer that it is, and lose it.

    Raises:
        RegistryError: a file is missing, or has another size.
    """
    there: dict[str, int | None] = {}
    folders: list[str | None] = [None]
    while folders:
        for found in client.list_artifacts(run_id, folders.pop()):
            if found.is_dir:
                folders.append(found.path)
            else:
                there[found.path] = found.file_size
    for file in sorted(directory.rglob("*")):
        name = file.relative_to(directory).as_posix()
        if file.is_file() and (name not in there or there[name] not in {None, file.stat().st_size}):
            came = f"{there[name]} bytes of it are there" if name in there else "it is not there"
            raise RegistryError(f"artifact {name} was sent, {file.stat().st_size} bytes, and {came}")


def _require_content(run: Run, evidence: Evidence, tags: Mapping[str, str]) -> None:
    """See that MLflow has the metrics and tags, and that the run is finished.

    Raises:
        RegistryError: it has not.
    """
    lost = [*(evidence.metrics.keys() - run.data.metrics.keys()), *(tags.keys() - run.data.tags.keys())]
    if lost:
        raise RegistryError(f"{len(lost)} metrics and tags were sent, and are not there: {sorted(lost)[:5]}")
    if run.info.status != "FINISHED":
        raise RegistryError(f"it was finished, and MLflow says that it is {run.info.status}")


def pointing_tags(evidence: Evidence, evaluation_id: int, run_id: str) -> dict[str, str]:
    """Tags for the model version, once its evidence is there: where to read on comes last."""
    return {**evidence.version_tags, **_id_tag(evaluation_id), "case_monitor.run_id": run_id}


def _id_tag(evaluation_id: int) -> dict[str, str]:
    return {"case_monitor.evaluation_id": str(evaluation_id)}


def _unpack(files: bytes, directory: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(files)) as archive:
        archive.extractall(directory)


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


def evidence_has_files(run_id: str, tracking_uri: str) -> bool:
    """Whether the artifact store has any of a run that is there.

    Raises:
        RegistryError: it does not say.
    """
    with one_line(f"files of monitoring run {run_id}"):
        return bool(MlflowClient(tracking_uri).list_artifacts(run_id))


def _metrics(evidence: Evidence, model_id: str | None) -> list[Metric]:
    made_at = int(evidence.made_at.timestamp() * 1000)
    return [Metric(name, value, made_at, 0, model_id=model_id) for name, value in evidence.metrics.items()]


def _only_run(client: MlflowClient, experiment_id: str, key: str) -> str:
    """The run of this key: made if there is none, and alone if there are several.

    Where a server made a run and could not say so, the client asks again, and it makes another.
    """
    runs = _runs(client, experiment_id, key)
    if not runs:
        made = client.create_run(experiment_id, tags={_KEY_TAG: key}).info.run_id
        runs = _runs(client, experiment_id, key)
        if made not in runs:
            raise RegistryError(f"run {made} was made, and is not among those that the server knows: {runs[:5]}")
    for run_id in runs[1:]:
        client.delete_run(run_id)
    return runs[0]


def _runs(client: MlflowClient, experiment_id: str, key: str) -> list[str]:
    """The oldest first."""
    found = client.search_runs([experiment_id], f"tags.`{_KEY_TAG}` = '{key}'", order_by=["attributes.start_time ASC"])
    others = [run.info.run_id for run in found if run.data.tags.get(_KEY_TAG) != key]
    if others:
        raise RegistryError(f"runs of key {key[:12]} were asked for, the server names others: {others[:5]}")
    return [str(run.info.run_id) for run in found]


def _logged_model(client: MlflowClient, name: str, version: int) -> str | None:
    """The id of the logged model behind a version: `mv.model_id` is None, `mv.source` has it.

    None where there is no such model in the tracking server, as when the registry is another server.
    """
    source = client.get_model_version(name, str(version)).source or ""
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
