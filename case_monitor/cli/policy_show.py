"""`policy show`: what the gate asks, with its defaults filled in."""

from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from case_monitor.cli.standard_output import results_console
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import HOW_GOOD_A_MODEL_IS
from case_monitor.domain.policy import Policy
from case_monitor.domain.policy_check import asks_how_good
from case_monitor.settings import Settings, load_settings

_UNASKED = (
    f"No blocking rule has a limit on {HOW_GOOD_A_MODEL_IS}: while no version is in "
    "production to compare it with, one that has learned nothing may pass."
)


def print_policies(config: Path | None, model: str | None, *, as_json: bool) -> None:
    """Print the policy in effect of each model, or of one; where none is configured, that of all."""
    settings = load_settings(config)
    policies = {name: settings.policy_of(name) for name in names_of(settings, model)} or {"": settings.policy}
    console = results_console()
    if as_json:
        console.print_json(data={name: asdict(p) for name, p in policies.items()})
        return
    for name, p in policies.items():
        console.print(_policy_table(name, p))
        console.print(_budget(p), style="dim")
        if not asks_how_good(p):
            console.print(_UNASKED, style="bold yellow")


def names_of(settings: Settings, model: str | None) -> list[str]:
    """The configured models that are meant.

    Raises:
        ConfigError: there is none of that name.
    """
    if model is None:
        return list(settings.models)
    settings.model(model)  # an unknown name is refused
    return [model]


def _policy_table(name: str, policy: Policy) -> Table:
    title = Text(f"Policy of {name}" if name else "Policy")
    table = Table(title=title, title_justify="left")
    for header in ("rule", "method", "whole interval", "images", "severity"):
        table.add_column(header, overflow="fold")
    for rule in policy.rules:
        method = policy.method_of(rule)
        least = policy.min_class_samples if rule.per_class else policy.min_samples
        table.add_row(
            Text(rule.metric),
            Text(method_title(method) if method else ""),
            f"{'above' if rule.greater_is_better else 'below'} {rule.limit:g}",
            f"{least} per class" if rule.per_class else f"{least}",
            rule.severity.value,
        )
    return table


def _budget(policy: Policy) -> str:
    """What the thresholds promise, in words."""
    return (
        f"{policy.confidence_level:.0%} intervals. All blocking rules must pass. At most "
        f"{policy.false_block_budget:.0%} of the evaluations of an unchanged healthy model may fail (Holm over the "
        "blocking rules)."
    )
