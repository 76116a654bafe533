"""What is looked at beside the policy's rules: the artifact, and whether an override keeps a version in production."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from case_monitor.alerts.override import override_alert
from case_monitor.alerts.standing import ARTIFACT, OVERRIDE, artifact_alert
from case_monitor.domain.alert import Alert
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_version import ModelVersion
from case_monitor.settings import Settings
from case_monitor.steps.running import step
from case_monitor.store.read.overrides import standing_override


@step("look-at-override", retried=True)
def standing_override_alert(engine: Engine, alias: str, model: ModelVersion) -> Alert | None:
    """The alert about the override of this version, which holds the alias; None if none stands."""
    override = standing_override(engine, model.name, alias)
    stands = override is not None and override.version == model.version
    return override_alert(override, datetime.now(UTC)) if override and stands else None


def with_artifact(findings: Findings, first_digest: str | None) -> Findings:
    """The findings with an alert if the artifact is not the one whose digest was noted at the first evaluation."""
    evaluation = findings.evaluation
    alert = artifact_alert(evaluation.model, first_digest)
    return _with(findings, ARTIFACT, alert)


def with_override(engine: Engine, settings: Settings, findings: Findings) -> Findings:
    """The findings on a version in production with that alert; the verdict is what it was."""
    evaluation = findings.evaluation
    if not evaluation.in_production:
        return findings
    alert: Alert | None = standing_override_alert(engine, settings.alias, evaluation.model)
    return _with(findings, OVERRIDE, alert)


def _with(findings: Findings, rule: str, alert: Alert | None) -> Findings:
    evaluation = findings.evaluation
    alerts = (*evaluation.alerts, alert) if alert else evaluation.alerts
    looked_at = evaluation.looked_at | {rule}
    return replace(findings, evaluation=replace(evaluation, alerts=alerts, looked_at=looked_at))
