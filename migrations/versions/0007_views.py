"""Views for people who look at the results with Grafana, Metabase or psql: names and columns that stay.

They look up the decision on each evaluation, which takes an index.

PostgreSQL only: those programs read from a server. On SQLite they would be in the way: it alters a table by making it
anew, and cannot rename one while a view refers to one that is gone. A later migration that alters a column shown here
has to drop the views first, and to make them again.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OF_EVALUATION = """
    evaluation.id AS evaluation_id,
    model.name AS model,
    model.version,
    evaluation.updated_at AS evaluated_at"""

# Of a method, or of the model itself (''); it is read by the index of the overall figures.
_FIGURE = """
LEFT JOIN metric_summaries AS {alias} ON {alias}.metric = '{metric}' AND {alias}.method = {method}
    AND {alias}.evaluation_id = evaluation.id AND {alias}.class_idx IS NULL"""
_MODEL = "FROM evaluations AS evaluation JOIN model_versions AS model ON model.id = evaluation.model_version_id"
_GATE_METHOD = "(evaluation.policy ->> 'gate_method')"

EVALUATIONS = f"""
CREATE VIEW case_monitor_evaluations AS
SELECT {_OF_EVALUATION},
    evaluation.verdict_status AS verdict,
    evaluation.verdict_sentence,
    evaluation.in_production,
    evaluation.baseline_version,
    evaluation.split_name AS split,
    evaluation.split_size AS images,
    evaluation.duration_s,
    accuracy.value AS accuracy,
    accuracy.ci_low AS accuracy_ci_low,
    accuracy.ci_high AS accuracy_ci_high,
    balanced.value AS balanced_accuracy,
    f1.value AS macro_f1,
    {_GATE_METHOD} AS gate_method,
    agreement.n AS explained_images,
    agreement.value AS agreement_median,
    agreement.ci_low AS agreement_median_ci_low,
    agreement.ci_high AS agreement_median_ci_high,
    degenerate.value AS degenerate_rate,
    degenerate.ci_low AS degenerate_rate_ci_low,
    degenerate.ci_high AS degenerate_rate_ci_high,
    promotion.decision,
    promotion.alias,
    promotion.decided_at,
    promotion.applied_at,
    evaluation.mlflow_experiment_id,
    evaluation.mlflow_run_id,
    evaluation.flow_run_id
{_MODEL}
{_FIGURE.format(alias="accuracy", metric="accuracy", method="''")}
{_FIGURE.format(alias="balanced", metric="balanced_accuracy", method="''")}
{_FIGURE.format(alias="f1", metric="macro_f1", method="''")}
{_FIGURE.format(alias="agreement", metric="agreement_median", method=_GATE_METHOD)}
{_FIGURE.format(alias="degenerate", metric="agreement_degenerate_rate", method=_GATE_METHOD)}
LEFT JOIN LATERAL (
    SELECT decision, alias, decided_at, applied_at FROM promotions
    WHERE promotions.evaluation_id = evaluation.id
    ORDER BY promotions.id DESC LIMIT 1
) AS promotion ON TRUE"""  # noqa: S608 - made of constants

METHODS = f"""
CREATE VIEW case_monitor_methods AS
SELECT {_OF_EVALUATION},
    figure.method,
    figure.method = {_GATE_METHOD} AS is_gate_method,
    figure.metric,
    figure.value,
    figure.ci_low,
    figure.ci_high,
    figure.n,
    figure.n_undefined,
    figure.p_value,
    figure.p_adjusted,
    figure.effect_size
{_MODEL}
JOIN metric_summaries AS figure ON figure.evaluation_id = evaluation.id
WHERE figure.class_idx IS NULL AND figure.method <> ''"""

CLASSES = f"""
CREATE VIEW case_monitor_classes AS
SELECT {_OF_EVALUATION},
    class.class_idx,
    class.class_name AS class,
    class.support AS images,
    class.precision,
    class.recall,
    class.recall_ci_low,
    class.recall_ci_high,
    class.f1,
    class.active_channels,
    agreement.n AS explained_images,
    agreement.value AS agreement_median
{_MODEL}
JOIN class_metrics AS class ON class.evaluation_id = evaluation.id
LEFT JOIN metric_summaries AS agreement ON agreement.metric = 'agreement_median' AND agreement.method = {_GATE_METHOD}
    AND agreement.evaluation_id = evaluation.id AND agreement.class_idx = class.class_idx"""

ALERTS = """
CREATE VIEW case_monitor_alerts AS
SELECT
    id AS alert_id,
    model_name AS model,
    scope,
    rule,
    method,
    class_idx,
    class_name AS class,
    version,
    baseline_version,
    severity,
    status,
    worst_severity,
    worst_status,
    observed,
    limit_value,
    message,
    advice,
    resolved_at IS NULL AS is_open,
    resolved_at IS NULL AND acknowledged_at IS NOT NULL AS is_acknowledged,
    resolved_at IS NULL AND muted_until IS NOT NULL AND muted_until > CURRENT_TIMESTAMP AS is_muted,
    opened_at,
    last_seen_at,
    observations,
    resolved_at,
    resolution,
    acknowledged_at,
    acknowledged_by,
    muted_until,
    mute_reason
FROM alerts"""

PROMOTIONS = """
CREATE VIEW case_monitor_promotions AS
SELECT
    promotion.id AS promotion_id,
    promotion.model_name AS model,
    promotion.version,
    promotion.alias,
    promotion.previous_version,
    promotion.decision,
    promotion.reason,
    promotion.decided_at,
    promotion.applied_at,
    promotion.evaluation_id,
    evaluation.verdict_status AS verdict
FROM promotions AS promotion JOIN evaluations AS evaluation ON evaluation.id = promotion.evaluation_id"""


def upgrade() -> None:
    op.create_index(op.f("ix_promotions_evaluation_id"), "promotions", ["evaluation_id"])
    if op.get_bind().dialect.name == "postgresql":
        for view in (EVALUATIONS, METHODS, CLASSES, ALERTS, PROMOTIONS):
            op.execute(view)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in ("promotions", "alerts", "classes", "methods", "evaluations"):
            op.execute(f"DROP VIEW case_monitor_{name}")
    op.drop_index(op.f("ix_promotions_evaluation_id"), "promotions")
