"""What was evaluated, and every evaluation of it."""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.domain.status import Status
from case_monitor.store.tables.base import Base, one_of

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
    seed_group: Mapped[str | None]


class EvaluationRow(Base):
    """One evaluation of a model version on a split under a protocol, a policy and a baseline."""

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint(*NATURAL_KEY, name="uq_evaluations_natural_key"),
        Index(None, "model_version_id", "updated_at"),
        Index(None, "updated_at"),
        one_of("verdict_status", Status),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="RESTRICT"))
    model_digest: Mapped[str]
    split_digest: Mapped[str]
    protocol_digest: Mapped[str]
    policy_digest: Mapped[str]
    baseline_digest: Mapped[str]
    baseline_version: Mapped[int | None]
    in_production: Mapped[bool]
    split_name: Mapped[str]
    split_size: Mapped[int]
    images_digest: Mapped[str | None]
    labels_digest: Mapped[str | None]
    class_names: Mapped[list[str]]
    contrast_k: Mapped[int]
    unseen_classes: Mapped[list[int]]
    seed: Mapped[int] = mapped_column(BigInteger)
    target_layer: Mapped[str]
    layer_source: Mapped[str | None]
    device: Mapped[str]
    torch_version: Mapped[str]
    package_version: Mapped[str]
    isolation: Mapped[str | None]
    signer: Mapped[str | None]
    protocol: Mapped[dict[str, Any]]
    policy: Mapped[dict[str, Any]]
    verdict_status: Mapped[str]
    verdict_sentence: Mapped[str]
    notes: Mapped[list[str]] = mapped_column(server_default="[]")
    mlflow_run_id: Mapped[str | None]
    mlflow_experiment_id: Mapped[str | None]
    flow_run_id: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    duration_s: Mapped[float]
