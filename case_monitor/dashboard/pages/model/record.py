"""What a model's page says, as data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from case_monitor.alerts.override import Override
from case_monitor.dashboard.shell.paging import Pages
from case_monitor.domain.policy import Severity
from case_monitor.domain.promotion import Decision
from case_monitor.domain.status import Status


class By(StrEnum):
    """What charts go along: the last evaluation of each version, or every evaluation."""

    VERSION = "version"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuery:
    """What to show; `area` is that of the confidence drop as metrics name it, None: the gate's."""

    name: str
    by: By = By.VERSION
    area: str | None = None
    page: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One evaluation in the charts."""

    evaluation_id: int
    version: int
    at: datetime
    verdict: Status
    in_production: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure, beside the model's points; None where it is undefined or was not measured."""

    metric: str
    method: str
    value: tuple[float | None, ...]
    ci_low: tuple[float | None, ...]
    ci_high: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A decision on the alias; `applied` False: the alias was not, or not yet, moved."""

    evaluation_id: int
    version: int
    at: datetime
    decision: Decision
    applied: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version as it was evaluated last; figures are of the newest version's gate method."""

    version: int
    evaluation_id: int
    verdict: Status
    decision: Decision | None
    accuracy: float | None
    pair_contrast: float | None
    agreement: float | None
    drop: float | None
    degenerate: float | None
    evaluated_at: datetime
    baseline_version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """An alert with what to do about it; `resolved_at` None: it is open."""

    id: int
    severity: Severity
    status: Status
    version: int
    message: str
    advice: str
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. `newest` is the evaluated version with the highest number, `sentence` its verdict in words.

    Attributes:
        champion: the version last known to hold the alias.
        override: by whom, why and until when it does so against the verdict; None: it does not.
        areas: which confidence drops there are; `area` is the one shown, None: none was measured.
        limits: metric -> limit of the newest version's policy, on the gate method or on the model itself.
        points: what charts show, in order; `left_out` older ones are not shown.
        series: figures beside the points.
        rows: a page of all versions, the newest first.
        alerts, resolved: the open ones, and those that were resolved last.
    """

    chosen: ModelQuery
    name: str
    champion: int | None
    override: Override | None
    newest: VersionRow
    sentence: str
    versions: int
    last_check: datetime
    gate_method: str
    methods: tuple[str, ...]
    areas: tuple[str, ...]
    area: str | None
    confidence_level: float | None
    limits: dict[str, float]
    points: tuple[Point, ...]
    left_out: int
    series: tuple[Series, ...]
    marks: tuple[Mark, ...]
    rows: tuple[VersionRow, ...]
    pages: Pages
    alerts: tuple[AlertLine, ...]
    resolved: tuple[AlertLine, ...]

    def one(self, metric: str, method: str) -> Series | None:
        """The figures of a metric and method, if there are any."""
        return next((s for s in self.series if (s.metric, s.method) == (metric, method)), None)
