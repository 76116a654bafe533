"""Whether maps know their class, in the view of evaluations: the figures that the default rules rest on.

The view is replaced and not dropped, so that whoever may read it still may; that takes new columns at its end.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Of a method, or of the model itself (''); it is read by the index of the overall figures.
_FIGURE = """
LEFT JOIN metric_summaries AS {alias} ON {alias}.metric = '{metric}' AND {alias}.method = {method}
    AND {alias}.evaluation_id = evaluation.id AND {alias}.class_idx IS NULL"""
_GATE_METHOD = "(evaluation.policy ->> 'gate_method')"
_BEFORE = f"""
    evaluation.id AS evaluation_id,
    model.name AS model,
    model.version,
    evaluation.updated_at AS evaluated_at,
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
    evaluation.flow_run_id"""
_FIGURES_BEFORE = f"""
{_FIGURE.format(alias="accuracy", metric="accuracy", method="''")}
{_FIGURE.format(alias="balanced", metric="balanced_accuracy", method="''")}
{_FIGURE.format(alias="f1", metric="macro_f1", method="''")}
{_FIGURE.format(alias="agreement", metric="agreement_median", method=_GATE_METHOD)}
{_FIGURE.format(alias="degenerate", metric="agreement_degenerate_rate", method=_GATE_METHOD)}"""
_DECISION = """
LEFT JOIN LATERAL (
    SELECT decision, alias, decided_at, applied_at FROM promotions
    WHERE promotions.evaluation_id = evaluation.id
    ORDER BY promotions.id DESC LIMIT 1
) AS promotion ON TRUE"""
_ADDED = {
    "skill": "''",
    "pair_contrast": "''",
    "shown_contrast": _GATE_METHOD,
    "fidelity_dz": _GATE_METHOD,
}


def _view(added: dict[str, str]) -> str:
    columns = "".join(
        f",\n    {name}.value AS {name}, {name}.ci_low AS {name}_ci_low, {name}.ci_high AS {name}_ci_high"
        for name in added
    )
    figures = "".join(_FIGURE.format(alias=name, metric=name, method=method) for name, method in added.items())
    return (
        f"VIEW case_monitor_evaluations AS SELECT {_BEFORE}{columns}\n"
        "FROM evaluations AS evaluation JOIN model_versions AS model ON model.id = evaluation.model_version_id"
        f"{_FIGURES_BEFORE}{figures}{_DECISION}"
    )


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE OR REPLACE {_view(_ADDED)}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP VIEW case_monitor_evaluations")  # no column can be taken from a view
        op.execute(f"CREATE {_view({})}")
