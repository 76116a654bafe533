"""What no rule of the policy asks, and should."""

from case_monitor.domain.alert import UNASKED, Alert
from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.metrics import HOW_GOOD_A_MODEL_IS
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status


def unasked_alert(model: ModelVersion) -> Alert:
    """A version is judged with nothing to compare it with, by a policy that does not ask how good it is."""
    return Alert(
        rule=UNASKED,
        method=None,
        class_idx=None,
        severity=Severity.WARN,
        status=Status.INSUFFICIENT,
        observed=UNDEFINED,
        limit=UNDEFINED,
        message=(
            f"Nothing asks how good {model} is: no version is in production to compare it with, and no blocking rule "
            f"of the policy has a limit on {HOW_GOOD_A_MODEL_IS}."
        ),
        advice=(
            "Add a rule such as {metric: skill, limit: 0.25, greater_is_better: true}, which asks that it is surely "
            "better than always answering the most frequent class."
        ),
    )
