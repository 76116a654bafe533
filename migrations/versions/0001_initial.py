"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("name_digest", "version", name=op.f("uq_model_versions_name_digest")),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("model_digest", sa.Text(), nullable=False),
        sa.Column("split_digest", sa.Text(), nullable=False),
        sa.Column("protocol_digest", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("baseline_digest", sa.Text(), nullable=False),
        sa.Column("baseline_version", sa.Integer(), nullable=True),
        sa.Column("split_name", sa.Text(), nullable=False),
        sa.Column("split_size", sa.Integer(), nullable=False),
        sa.Column("class_names", sa.JSON(), nullable=False),
        sa.Column("contrast_k", sa.Integer(), nullable=False),
        sa.Column("unseen_classes", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("target_layer", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("torch_version", sa.Text(), nullable=False),
        sa.Column("package_version", sa.Text(), nullable=False),
        sa.Column("protocol", sa.JSON(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("verdict_status", sa.Text(), nullable=False),
        sa.Column("verdict_sentence", sa.Text(), nullable=False),
        sa.Column("mlflow_run_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "verdict_status IN ('pass', 'fail', 'insufficient')", name=op.f("ck_evaluations_verdict_status")
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_evaluations_model_version_id_model_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint(
            "model_version_id",
            "model_digest",
            "split_digest",
            "protocol_digest",
            "policy_digest",
            "baseline_digest",
            name="uq_evaluations_natural_key",
        ),
    )
    op.create_index(
        op.f("ix_evaluations_model_version_id"),
        "evaluations",
        ["model_version_id", "updated_at"],
        unique=False,
    )
    op.create_table(
        "alerts",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("class_idx", sa.Integer(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.Column("limit_value", sa.Double(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.CheckConstraint("severity IN ('block', 'warn')", name=op.f("ck_alerts_severity")),
        sa.CheckConstraint("status IN ('pass', 'fail', 'insufficient')", name=op.f("ck_alerts_status")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_alerts_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name=op.f("pk_alerts")),
    )
    op.create_table(
        "class_metrics",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("class_idx", sa.Integer(), nullable=False),
        sa.Column("class_name", sa.Text(), nullable=False),
        sa.Column("support", sa.Integer(), nullable=False),
        sa.Column("precision", sa.Double(), nullable=True),
        sa.Column("recall", sa.Double(), nullable=True),
        sa.Column("f1", sa.Double(), nullable=True),
        sa.Column("recall_ci_low", sa.Double(), nullable=True),
        sa.Column("recall_ci_high", sa.Double(), nullable=True),
        sa.Column("active_channels", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_class_metrics_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "class_idx", name=op.f("pk_class_metrics")),
    )
    op.create_table(
        "confusion_cells",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("target_class", sa.Integer(), nullable=False),
        sa.Column("predicted_class", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("count > 0", name=op.f("ck_confusion_cells_count")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_confusion_cells_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "target_class", "predicted_class", name=op.f("pk_confusion_cells")),
    )
    op.create_table(
        "contrast_members",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("target_class", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("class_idx", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=True),
        sa.CheckConstraint("source IN ('observed', 'soft')", name=op.f("ck_contrast_members_source")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_contrast_members_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "target_class", "rank", name=op.f("pk_contrast_members")),
    )
    op.create_table(
        "metric_summaries",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("class_idx", sa.Integer(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("n_undefined", sa.Integer(), nullable=False),
        sa.Column("ci_low", sa.Double(), nullable=True),
        sa.Column("ci_high", sa.Double(), nullable=True),
        sa.Column("sd", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("p_adjusted", sa.Double(), nullable=True),
        sa.Column("effect_size", sa.Double(), nullable=True),
        sa.Column("test", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_metric_summaries_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name=op.f("pk_metric_summaries")),
    )
    op.create_index(
        "uq_metric_summaries_overall",
        "metric_summaries",
        ["metric", "method", "evaluation_id"],
        unique=True,
        sqlite_where=sa.text("class_idx IS NULL"),
        postgresql_where=sa.text("class_idx IS NULL"),
    )
    op.create_index(
        "uq_metric_summaries_per_class",
        "metric_summaries",
        ["metric", "method", "evaluation_id", "class_idx"],
        unique=True,
        sqlite_where=sa.text("class_idx IS NOT NULL"),
        postgresql_where=sa.text("class_idx IS NOT NULL"),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_version", sa.Integer(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("decision IN ('promoted', 'withheld', 'kept')", name=op.f("ck_promotions_decision")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_promotions_evaluation_id_evaluations"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
    )
    op.create_index(
        "uq_promotions_open",
        "promotions",
        ["evaluation_id", "alias", "decision"],
        unique=True,
        sqlite_where=sa.text("applied_at IS NULL"),
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.create_table(
        "samples",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sample_id", sa.Text(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("top2", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_samples_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name=op.f("pk_samples")),
        sa.UniqueConstraint("evaluation_id", "sample_id", name=op.f("uq_samples_evaluation_id")),
    )
    op.create_table(
        "threshold_results",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("limit_value", sa.Double(), nullable=True),
        sa.Column("greater_is_better", sa.Boolean(), nullable=False),
        sa.Column("threshold_method", sa.Text(), nullable=True),
        sa.Column("per_class", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("class_idx", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.Column("ci_low", sa.Double(), nullable=True),
        sa.Column("ci_high", sa.Double(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("severity IN ('block', 'warn')", name=op.f("ck_threshold_results_severity")),
        sa.CheckConstraint("status IN ('pass', 'fail', 'insufficient')", name=op.f("ck_threshold_results_status")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_threshold_results_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name=op.f("pk_threshold_results")),
    )
    op.create_table(
        "sample_scores",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evaluation_id", "position"],
            ["samples.evaluation_id", "samples.position"],
            name=op.f("fk_sample_scores_evaluation_id_samples"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", "method", "metric", name=op.f("pk_sample_scores")),
    )


def downgrade() -> None:
    for table in (
        "sample_scores",
        "samples",
        "alerts",
        "threshold_results",
        "metric_summaries",
        "contrast_members",
        "confusion_cells",
        "class_metrics",
        "promotions",
        "evaluations",
        "model_versions",
    ):
        op.drop_table(table)
