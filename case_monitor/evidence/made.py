"""What MLflow is to be told of an evaluation: drawn, written and packed. Imports what draws, which is heavy."""

import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from case_monitor.domain.digests import digest
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.evidence import Evidence
from case_monitor.domain.findings import Findings
from case_monitor.evidence.pictures import save_figures
from case_monitor.evidence.reports import write_reports, write_tables

_UNFIT_FOR_A_METRIC_NAME = re.compile(r"[^\w.\-/ ]")


def made_evidence(findings: Findings, *, evidently_reports: bool = True) -> Evidence:
    """Draw and write what is to be sent; MLflow is not asked."""
    evaluation = findings.evaluation
    with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
        write_evidence(findings, Path(directory), evidently_reports=evidently_reports)
        files = _packed(Path(directory))
    return Evidence(
        model_name=evaluation.model.name,
        version=evaluation.model.version,
        key=digest(evaluation.key),
        made_at=datetime.now(UTC),
        metrics=dict(_figures(evaluation)),
        run_tags=run_tags(evaluation),
        version_tags=version_tags(evaluation),
        files=files,
    )


def write_evidence(findings: Findings, directory: Path, *, evidently_reports: bool) -> None:
    """Everything for people and spreadsheets, below `directory`: figures/, reports/, tables/, alerts.json."""
    evaluation = findings.evaluation
    save_figures(evaluation, findings.gallery, directory / "figures")
    if evidently_reports:
        write_reports(evaluation, findings.baseline_preds, directory / "reports")
    write_tables(evaluation, directory / "tables")
    (directory / "tables" / "alerts.json").replace(directory / "alerts.json")


def version_tags(evaluation: Evaluation) -> dict[str, str]:
    """Tags for the model version: what a person in the registry wants to know."""
    return {
        "case_monitor.verdict": evaluation.verdict.status.value,
        "case_monitor.reason": evaluation.verdict.sentence[:500],
        "case_monitor.gate_method": evaluation.policy.gate_method,
        "case_monitor.policy_digest": evaluation.provenance.policy_digest,
    }


def run_tags(evaluation: Evaluation) -> dict[str, str]:
    """Tags for the monitoring run: identity and provenance."""
    provenance = evaluation.provenance
    return {
        "mlflow.runName": f"{evaluation.model} on {evaluation.split.name}"[:250],
        "case_monitor.model_name": evaluation.model.name,
        "case_monitor.model_version": str(evaluation.model.version),
        "case_monitor.baseline_version": str(evaluation.baseline.version) if evaluation.baseline else "none",
        "case_monitor.verdict": evaluation.verdict.status.value,
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


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """Overall figures; per-class values are in the tables, since MLflow's page draws about 100 charts."""
    for s in evaluation.summaries:
        if s.class_idx is None and s.value == s.value:  # NaN is in the tables, where it can be told from 0
            yield metric_name(s.metric, s.method), s.value


def _packed(directory: Path) -> bytes:
    """A ZIP archive of all files below."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(directory))
    return packed.getvalue()
