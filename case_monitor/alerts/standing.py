"""Alerts that stand beside the policy's rules: a version in production is not, or no longer, what was judged."""

from case_monitor.domain.alert import Alert
from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Severity
from case_monitor.domain.reproduction import SCORE_TOLERANCE, Reproduction
from case_monitor.domain.status import Status

ARTIFACT, REPRODUCTION, OVERRIDE = "artifact", "reproduction", "override"
GOOD_NEWS = {
    ARTIFACT: "the artifact is the one that was first evaluated",
    REPRODUCTION: "the stored figures come out again",
    OVERRIDE: "no version is in production against the verdict",
}
"""Why such an alert is over, where what it is about was looked at and found in order."""


def artifact_alert(model: ModelVersion, first_digest: str | None) -> Alert | None:
    """A version's files are not those of its first evaluation, which a registry should never let happen."""
    if first_digest in {None, model.digest}:
        return None
    return Alert(
        rule=ARTIFACT,
        method=None,
        class_idx=None,
        severity=Severity.BLOCK,
        status=Status.FAIL,
        observed=UNDEFINED,
        limit=UNDEFINED,
        message=(
            f"The artifact of {model} has changed since it was first evaluated: its SHA-256 began with "
            f"{str(first_digest)[:12]} then and begins with {model.digest[:12]} now. A registered version should never "
            "change, and whoever deployed it may serve either."
        ),
        advice=(
            "Find out who wrote to the artifact store. If it was meant, register the new files as a version of their "
            "own; else restore the old ones."
        ),
    )


def reproduction_alert(model: ModelVersion, found: Reproduction) -> Alert | None:
    """The same model on the same data no longer gives the same numbers."""
    if found.reproduced:
        return None
    others = (
        f"; of the others confidence differs by up to {found.confidence_difference:.3g}, and {found.worst} by "
        f"{found.score_difference:.3g} on average"
    )
    return Alert(
        rule=REPRODUCTION,
        method=None,
        class_idx=None,
        severity=Severity.BLOCK if found.changed_predictions else Severity.WARN,
        status=Status.FAIL,
        observed=found.score_difference,
        limit=SCORE_TOLERANCE,
        message=(
            f"{model} no longer gives the stored figures, though model, data and protocol are the same: of {found.n} "
            f"images {found.changed_predictions} are predicted as another class"
            f"{others if found.changed_predictions < found.n else ''}."
        ),
        advice=(
            "Compare torch, drivers and hardware with those of the stored evaluation. If the change was meant, check "
            "the version again: that stores the new figures."
        ),
    )
