"""Whether the results database and the registry are of one time, as after both were restored from a backup.

Nothing is changed, and no model is loaded; the files of the versions looked at are downloaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from case_monitor.doctor.check import WORK_LIMIT_S, Answer, Check, ask, failed, ok, skipped, warning
from case_monitor.domain.errors import NotFoundError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Decision
from case_monitor.evidence.mlflow_run import evidence_has_files, evidence_is_there
from case_monitor.registry.client import Registry
from case_monitor.settings import Settings
from case_monitor.store.read import StoredEvaluation, StoredPromotion, evaluations
from case_monitor.store.read.promotions import promotions

LAST_VERSIONS = 10
"""Of each model, the versions looked at: those evaluated last, and the one that holds the alias."""

_REMEDY = "restore the results database, MLflow's database and its artifacts from one backup, see docs/operations.md"
_BY_HAND = f"{_REMEDY}; if a person moved the alias, the next gate or night records it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBackup:
    """What is stored of a model, the last first, and the registry that it should fit."""

    name: str
    stored: list[StoredEvaluation]
    log: list[StoredPromotion]
    registry: Registry

    def versions(self, holder: int | None) -> dict[int, StoredEvaluation]:
        """The last evaluation of each version looked at."""
        last: dict[int, StoredEvaluation] = {}
        for evaluation in self.stored:
            last.setdefault(evaluation.version, evaluation)
        return {v: e for i, (v, e) in enumerate(last.items()) if i < LAST_VERSIONS or v == holder}


def backup_checks(settings: Settings, engine: Engine, registry: Registry) -> Iterator[Check]:
    """Three checks for each monitored model: the alias against the audit log, versions' files, and their evidence."""
    for name in settings.models:
        model = ModelBackup(
            name=name, stored=evaluations(engine, name), log=promotions(engine, name), registry=registry
        )
        yield from _model_checks(settings, model)


def _model_checks(settings: Settings, model: ModelBackup) -> Iterator[Check]:
    files, evidence = f"model {model.name}: files", f"model {model.name}: evidence"
    alias = ask(f"model {model.name}: alias {settings.alias}", lambda: _alias(model, settings.alias), remedy=_REMEDY)
    yield alias
    versions = model.versions(alias.value)
    if not versions:
        yield skipped(files, "no version was evaluated")
        yield skipped(evidence, "no version was evaluated")
        return
    yield ask(files, lambda: _files(model, versions), remedy=_REMEDY, limit_s=WORK_LIMIT_S)
    yield ask(evidence, lambda: _evidence(settings.tracking_uri, versions), remedy=_REMEDY, limit_s=WORK_LIMIT_S)


def _alias(model: ModelBackup, alias: str) -> Answer:
    """The holder is the version of the log's last move, or of one that died before it could say that it was done."""
    try:
        holder = model.registry.alias_holder(model.name, alias)
    except NotFoundError as error:
        if not model.stored:
            return ok("the model is neither registered nor evaluated")
        return failed(f"{len(model.stored)} evaluations are stored, and the registry says: {error}", _REMEDY)
    moves = [entry for entry in model.log if entry.alias == alias and entry.decision is not Decision.WITHHELD]
    done = next((entry for entry in moves if entry.applied_at is not None), None)
    if moves and moves[0].applied_at is None and moves[0].version == holder:
        return ok(
            f"version {holder} holds it; its promotion is still to be confirmed, which the next gate does", holder
        )
    if done is None:
        if holder is None:
            return ok("no version holds it, and the audit log has none that did")
        return warning(f"version {holder} holds it, and the audit log has no promotion", _BY_HAND, holder)
    said = f"the audit log has version {done.version} since {done.applied_at:%Y-%m-%d %H:%M} UTC"
    if holder != done.version:
        return failed(f"{f'version {holder}' if holder else 'no version'} holds it, and {said}", _BY_HAND)
    return ok(f"version {holder} holds it, and {said}", holder)


def _files(model: ModelBackup, versions: dict[int, StoredEvaluation]) -> Answer:
    wrong = []
    for version, evaluation in versions.items():
        if not model.registry.has_version(ModelRef(name=model.name, version=version)):
            wrong.append(f"version {version} was evaluated, and is not registered")
            continue
        came = model.registry.artifact_digest(model.name, version)
        if came != evaluation.model_digest:
            wrong.append(f"version {version} has other files than were evaluated")
    return _said(wrong, f"of {len(versions)} evaluated versions are those that were evaluated (SHA-256)")


def _evidence(tracking_uri: str, versions: dict[int, StoredEvaluation]) -> Answer:
    runs = {e.id: e.mlflow_run_id for e in versions.values() if e.mlflow_run_id}
    wrong = []
    for evaluation_id, run_id in runs.items():
        if not evidence_is_there(run_id, tracking_uri):
            wrong.append(f"evaluation {evaluation_id}: its run {run_id} is gone")
        elif not evidence_has_files(run_id, tracking_uri):
            wrong.append(f"evaluation {evaluation_id}: its run {run_id} has no files")
    return _said(wrong, f"of {len(runs)} published evaluations is there")


def _said(wrong: list[str], well: str) -> Answer:
    return failed("; ".join(wrong), _REMEDY) if wrong else ok(well)
