"""`policy try`: what the policy in effect would have said about stored evaluations."""

from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from case_monitor.cli.policy_show import names_of
from case_monitor.cli.standard_output import results_console
from case_monitor.settings import load_settings
from case_monitor.store.open import open_store
from case_monitor.store.policy_trial import Trial, try_on_stored


def print_trials(config: Path | None, model: str | None, last: int, *, as_json: bool) -> None:
    """Judge the last evaluations of each model, or of one, and print what would be another verdict."""
    settings = load_settings(config)
    engine = open_store(settings.database_url.get_secret_value())
    try:
        trials = [
            trial
            for name in names_of(settings, model)
            for trial in try_on_stored(engine, name, settings.policy_of(name), last)
        ]
    finally:
        engine.dispose()
    console = results_console()
    if as_json:
        console.print_json(data=[asdict(trial) | {"changed": trial.changed} for trial in trials], default=str)
        return
    if not trials:
        console.print("No evaluation is stored yet.")
        return
    console.print(_trial_table(trials))
    changed = sum(trial.changed for trial in trials)
    console.print(f"{changed} of {len(trials)} verdicts would change.", style="bold")


def _trial_table(trials: list[Trial]) -> Table:
    table = Table(title="Stored evaluations under the policy in effect", title_justify="left")
    for header in ("version", "evaluated", "verdict then", "verdict now", "what decides"):
        table.add_column(header)
    for trial in trials:
        style = "bold yellow" if trial.changed else ""
        now = trial.status or "cannot be tried"
        row = (trial.version, f"{trial.evaluated_at:%Y-%m-%d %H:%M}", trial.status_then, now, trial.reason)
        table.add_row(*(Text(cell) for cell in row), style=style)
    return table
