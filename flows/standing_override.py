"""Whether a version in production is there against the verdict: looked at with everything else about it."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from case_monitor.core.evaluation import Findings
from case_monitor.core.override import override_alert
from case_monitor.core.records import Alert, ModelVersion
from case_monitor.core.standing_alerts import OVERRIDE
from case_monitor.settings import Settings
from case_monitor.store.read_overrides import standing_override
from flows.running import step


@step("look-at-override", retried=True)
def standing_override_alert(engine: Engine, alias: str, model: ModelVersion) -> Alert | None:
    """The alert about the override of this version, which holds the alias; None if none stands."""
    override = standing_override(engine, model.name, alias)
    stands = override is not None and override.version == model.version
    return override_alert(override, datetime.now(UTC)) if override and stands else None


def with_override(engine: Engine, settings: Settings, findings: Findings) -> Findings:
    """The findings on a version in production with that alert; the verdict is what it was."""
    evaluation = findings.evaluation
    if not evaluation.in_production:
        return findings
    alert: Alert | None = standing_override_alert(engine, settings.alias, evaluation.model)
    alerts = (*evaluation.alerts, alert) if alert else evaluation.alerts
    looked_at = evaluation.looked_at | {OVERRIDE}
    return replace(findings, evaluation=replace(evaluation, alerts=alerts, looked_at=looked_at))
