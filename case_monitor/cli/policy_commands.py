"""`case-monitor policy`: what the gate asks, and what other thresholds would have said."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from case_monitor.cli.preparation import prepare
from case_monitor.domain.metrics import HOW_GOOD_A_MODEL_IS

if TYPE_CHECKING:
    from rich.table import Table

    from case_monitor.domain.policy import Policy
    from case_monitor.settings import Settings
    from case_monitor.store.policy_trial import Trial

policy = typer.Typer(help="The policy of the gate.", no_args_is_help=True, rich_markup_mode=None)

_UNASKED = (
    f"No blocking rule has a limit on {HOW_GOOD_A_MODEL_IS}: while no version is in "
    "production to compare it with, one that has learned nothing may pass."
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file [default: case-monitor.yaml]."),
]
Model = Annotated[str | None, typer.Option("--model", "-m", help="A configured model [default: all].")]
Json = Annotated[bool, typer.Option("--json", help="Print for machines.")]


@policy.command("show")
def show_policy(config: Config = None, model: Model = None, json: Json = False) -> None:
    """Print the policy that is in effect, with its defaults filled in."""
    prepare(verbose=False)
    from dataclasses import asdict

    from case_monitor.cli.standard_output import results_console
    from case_monitor.domain.policy_check import asks_how_good
    from case_monitor.settings import load_settings

    settings = load_settings(config)
    policies = {name: settings.policy_of(name) for name in _names(settings, model)} or {"": settings.policy}
    console = results_console()
    if json:
        console.print_json(data={name: asdict(p) for name, p in policies.items()})
        return
    for name, p in policies.items():
        console.print(_policy_table(name, p))
        console.print(_budget(p), style="dim")
        if not asks_how_good(p):
            console.print(_UNASKED, style="bold yellow")


@policy.command("try")
def try_policy(
    config: Config = None,
    model: Model = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many stored evaluations of each model.")] = 20,
    json: Json = False,
) -> None:
    """Judge stored evaluations by the policy in effect, and show which verdicts would change. Changes nothing."""
    prepare(verbose=False)
    from dataclasses import asdict

    from case_monitor.cli.standard_output import results_console
    from case_monitor.settings import load_settings

    settings = load_settings(config)  # before what takes seconds to import

    from case_monitor.store.open import open_store
    from case_monitor.store.policy_trial import try_on_stored

    engine = open_store(settings.database_url.get_secret_value())
    try:
        trials = [
            trial
            for name in _names(settings, model)
            for trial in try_on_stored(engine, name, settings.policy_of(name), last)
        ]
    finally:
        engine.dispose()
    console = results_console()
    if json:
        console.print_json(data=[asdict(trial) | {"changed": trial.changed} for trial in trials], default=str)
        return
    if not trials:
        console.print("No evaluation is stored yet.")
        return
    console.print(_trial_table(trials))
    changed = sum(trial.changed for trial in trials)
    console.print(f"{changed} of {len(trials)} verdicts would change.", style="bold")


def _names(settings: "Settings", model: str | None) -> list[str]:
    if model is None:
        return list(settings.models)
    settings.model(model)  # an unknown name is refused
    return [model]


def _policy_table(name: str, policy: "Policy") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from case_monitor.domain.methods import method_title

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


def _budget(policy: "Policy") -> str:
    """What the thresholds promise, in words."""
    return (
        f"{policy.confidence_level:.0%} intervals. All blocking rules must pass. At most "
        f"{policy.false_block_budget:.0%} of the evaluations of an unchanged healthy model may fail (Holm over the "
        "blocking rules)."
    )


def _trial_table(trials: "list[Trial]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Stored evaluations under the policy in effect", title_justify="left")
    for header in ("version", "evaluated", "verdict then", "verdict now", "what decides"):
        table.add_column(header)
    for trial in trials:
        style = "bold yellow" if trial.changed else ""
        now = trial.status or "cannot be tried"
        row = (trial.version, f"{trial.evaluated_at:%Y-%m-%d %H:%M}", trial.status_then, now, trial.reason)
        table.add_row(*(Text(cell) for cell in row), style=style)
    return table
