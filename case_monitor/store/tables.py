"""The tables of the results database. docs/database.md explains every column."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from case_monitor.core.policy import Severity
from case_monitor.core.records import ContrastSource, Decision, Status

# Not Alembic's default `alembic_version`: MLflow and Prefect use that, and theirs must never be read as ours.
VERSION_TABLE = "case_monitor_revision"

NATURAL_KEY = (
    "model_version_id",
    "model_digest",
    "split_digest",
    "protocol_digest",
    "policy_digest",
    "baseline_digest",
)


def name_digest(name: str) -> str:
    """SHA-256 of a model's name, by which it is looked up; defined for any text, even what no name can be."""
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - fixed by SQLAlchemy
        """Convert to UTC; a naive time is a programming error."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"expected a time with a time zone, got {value!r}")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Return an aware UTC time on every database."""
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value and value.astimezone(UTC)


def _one_of(column: str, members: Iterable[StrEnum]) -> CheckConstraint:
    """A check instead of a native ENUM: a later migration can widen it inside a transaction."""
    values = ", ".join(f"'{member.value}'" for member in members)
    return CheckConstraint(f"{column} IN ({values})", name=column)


class Base(DeclarativeBase):
    """Declarative base; the naming convention gives every constraint a name that migrations can refer to."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy, which annotates it as an instance variable
        str: Text,
        float: Double,
        datetime: UtcDateTime,
        list[str]: JSON,
        list[int]: JSON,
        dict[str, Any]: JSON,
    }


class ModelVersionRow(Base):
    """A registered version that was evaluated at least once."""

    __tablename__ = "model_versions"
    # Unique by the digest of the name: PostgreSQL cannot index text longer than about 2700 bytes.
    __table_args__ = (UniqueConstraint("name_digest", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    name_digest: Mapped[str]
    version: Mapped[int]
    run_id: Mapped[str | None]


class EvaluationRow(Base):
    """One evaluation of a model version on a split under a protocol, a policy and a baseline."""

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint(*NATURAL_KEY, name="uq_evaluations_natural_key"),
        Index(None, "model_version_id", "updated_at"),
        _one_of("verdict_status", Status),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="RESTRICT"))
    model_digest: Mapped[str]
    split_digest: Mapped[str]
    protocol_digest: Mapped[str]
    policy_digest: Mapped[str]
    baseline_digest: Mapped[str]
    baseline_version: Mapped[int | None]
    split_name: Mapped[str]
    split_size: Mapped[int]
    class_names: Mapped[list[str]]
    contrast_k: Mapped[int]
    unseen_classes: Mapped[list[int]]
    seed: Mapped[int] = mapped_column(BigInteger)
    target_layer: Mapped[str]
    device: Mapped[str]
    torch_version: Mapped[str]
    package_version: Mapped[str]
    protocol: Mapped[dict[str, Any]]
    policy: Mapped[dict[str, Any]]
    verdict_status: Mapped[str]
    verdict_sentence: Mapped[str]
    mlflow_run_id: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    duration_s: Mapped[float]


class PromotionRow(Base):
    """The audit log. RESTRICT: evidence that a decision rests on cannot be deleted from under it."""

    __tablename__ = "promotions"
    __table_args__ = (
        # A decision that is retried is found again while it is open. Once applied it is history: the same
        # decision on the same evidence, after somebody moved the alias back, is a new entry.
        Index(
            "uq_promotions_open",
            "evaluation_id",
            "alias",
            "decision",
            unique=True,
            sqlite_where=text("applied_at IS NULL"),
            postgresql_where=text("applied_at IS NULL"),
        ),
        _one_of("decision", Decision),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str]
    alias: Mapped[str]
    version: Mapped[int]
    previous_version: Mapped[int | None]
    decision: Mapped[str]
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id", ondelete="RESTRICT"))
    reason: Mapped[str]
    decided_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


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
    __table_args__ = (_one_of("source", ContrastSource),)

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
    __table_args__ = (_one_of("severity", Severity), _one_of("status", Status))

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
    reason: Mapped[str]


class AlertRow(ChildRow):
    """Something a person should look at."""

    __tablename__ = "alerts"
    __table_args__ = (_one_of("severity", Severity), _one_of("status", Status))

    position: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str]
    method: Mapped[str | None]
    class_idx: Mapped[int | None]
    severity: Mapped[str]
    status: Mapped[str]
    observed: Mapped[float | None]
    limit_value: Mapped[float | None]
    message: Mapped[str]
    advice: Mapped[str]
