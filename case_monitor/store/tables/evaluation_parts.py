"""The parts of an evaluation, which live and die with it."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.domain.contrast_sets import ContrastSource
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.store.tables.base import Base, one_of


class ChildRow(Base):
    """A part of an evaluation, replaced as a whole when the evaluation is saved again."""

    __abstract__ = True

    evaluation_id: Mapped[int] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True, sort_order=-1
    )


class ClassMetricsRow(ChildRow):
    """Quality of one class."""

    __tablename__ = "class_metrics"

    class_idx: Mapped[int] = mapped_column(primary_key=True)
    class_name: Mapped[str]
    support: Mapped[int]
    precision: Mapped[float | None]
    recall: Mapped[float | None]
    f1: Mapped[float | None]
    recall_ci_low: Mapped[float | None]
    recall_ci_high: Mapped[float | None]
    active_channels: Mapped[float | None]


class ConfusionCellRow(ChildRow):
    """One non-zero cell of the confusion matrix."""

    __tablename__ = "confusion_cells"
    __table_args__ = (CheckConstraint("count > 0", name="count"),)

    target_class: Mapped[int] = mapped_column(primary_key=True)
    predicted_class: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int]


class ContrastMemberRow(ChildRow):
    """One class in the contrast set of another."""

    __tablename__ = "contrast_members"
    __table_args__ = (one_of("source", ContrastSource),)

    target_class: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    class_idx: Mapped[int]
    source: Mapped[str]
    count: Mapped[int]
    weight: Mapped[float | None]


class SampleRow(ChildRow):
    """One explained image."""

    __tablename__ = "samples"
    __table_args__ = (UniqueConstraint("evaluation_id", "sample_id"),)

    position: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str]
    target: Mapped[int]
    top2: Mapped[int]
    confidence: Mapped[float | None]
    broken_passes: Mapped[int] = mapped_column(server_default="0")


class SampleScoreRow(ChildRow):
    """One score of one explained image."""

    __tablename__ = "sample_scores"
    __table_args__ = (
        ForeignKeyConstraint(
            ["evaluation_id", "position"], ["samples.evaluation_id", "samples.position"], ondelete="CASCADE"
        ),
    )

    evaluation_id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]


class MetricSummaryRow(ChildRow):
    """One figure with its uncertainty; `class_idx` NULL is over all classes.

    NULLs are distinct in a UNIQUE constraint, and NULLS NOT DISTINCT is PostgreSQL's alone, so there are two
    partial unique indexes, which both databases have. They begin with what dashboards filter by.
    """

    __tablename__ = "metric_summaries"
    __table_args__ = (
        Index(
            "uq_metric_summaries_overall",
            "metric",
            "method",
            "evaluation_id",
            unique=True,
            sqlite_where=text("class_idx IS NULL"),
            postgresql_where=text("class_idx IS NULL"),
        ),
        Index(
            "uq_metric_summaries_per_class",
            "metric",
            "method",
            "evaluation_id",
            "class_idx",
            unique=True,
            sqlite_where=text("class_idx IS NOT NULL"),
            postgresql_where=text("class_idx IS NOT NULL"),
        ),
    )

    position: Mapped[int] = mapped_column(primary_key=True)
    metric: Mapped[str]
    method: Mapped[str]
    class_idx: Mapped[int | None]
    value: Mapped[float | None]
    n: Mapped[int]
    n_undefined: Mapped[int]
    undefined_because: Mapped[str | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    sd: Mapped[float | None]
    p_value: Mapped[float | None]
    p_adjusted: Mapped[float | None]
    effect_size: Mapped[float | None]
    test: Mapped[str | None]


class ThresholdResultRow(ChildRow):
    """One rule of the policy applied; `limit_value`, because LIMIT is a word of SQL."""

    __tablename__ = "threshold_results"
    __table_args__ = (one_of("severity", Severity), one_of("status", Status))

    position: Mapped[int] = mapped_column(primary_key=True)
    metric: Mapped[str]
    limit_value: Mapped[float | None]
    greater_is_better: Mapped[bool]
    threshold_method: Mapped[str | None]
    per_class: Mapped[bool]
    severity: Mapped[str]
    method: Mapped[str | None]
    class_idx: Mapped[int | None]
    status: Mapped[str]
    observed: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    n: Mapped[int]
    n_needed: Mapped[int | None] = mapped_column(BigInteger)
    p_value: Mapped[float | None]
    p_adjusted: Mapped[float | None]
    reason: Mapped[str]


class AlertObservationRow(ChildRow):
    """Something a person should look at, as this evaluation saw it; `alert_id` NULL: it came too late to count."""

    __tablename__ = "alert_observations"
    __table_args__ = (Index(None, "alert_id"), one_of("severity", Severity), one_of("status", Status))

    position: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id", ondelete="SET NULL"))
    rule: Mapped[str]
    method: Mapped[str | None]
    class_idx: Mapped[int | None]
    severity: Mapped[str]
    status: Mapped[str]
    observed: Mapped[float | None]
    limit_value: Mapped[float | None]
    message: Mapped[str]
    advice: Mapped[str]
