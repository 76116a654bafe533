"""What comes of flows, for the next one or a person. Imports nothing heavy."""

from dataclasses import dataclass

from case_monitor.domain.alert import Alert
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it, for the next flow or a person.

    `evaluation` is None where a stored one was reused; `other_rules` is what the rules by another word would have said.
    """

    evaluation_id: int
    model: ModelVersion
    baseline: ModelVersion | None
    verdict: Verdict
    alerts: tuple[Alert, ...]
    other_rules: str
    run_id: str | None
    artifact_uri: str | None
    evaluation: Evaluation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a check would have found and stored."""

    model: ModelVersion
    baseline: ModelVersion | None
    verdict: Verdict
    alerts: tuple[Alert, ...]
    other_rules: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """The evidence and what was decided on it."""

    outcome: Outcome
    promotion: Promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What came of one model. `version` None: none is in production; `reproduction` None: it was evaluated in full."""

    model: str
    version: int | None
    evaluation_id: int | None = None
    verdict: Verdict | None = None
    alerts: tuple[Alert, ...] = ()
    reproduction: Reproduction | None = None
