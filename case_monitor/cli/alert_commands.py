"""The commands below `alerts`; each imports what it does when it is called, so that `--help` waits for nothing."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from case_monitor.cli.preparation import prepare

alerts = typer.Typer(help="The alerts: list them, acknowledge or mute one.", rich_markup_mode=None)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file [default: case-monitor.yaml]."),
]
AlertId = Annotated[int, typer.Argument(metavar="ID", help="The number in front of the alert.")]


@alerts.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    resolved: Annotated[bool, typer.Option("--all", help="With those that are resolved.")] = False,
    model: Annotated[str | None, typer.Option("--model", help="Of this registered model only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the alerts for machines.")] = False,
    config: Config = None,
) -> None:
    """List the open alerts; or acknowledge or mute one."""
    if context.invoked_subcommand is None:
        prepare(verbose=False)
        from case_monitor.cli.alerts import list_alerts

        list_alerts(config, model, resolved=resolved, as_json=json)


@alerts.command()
def ack(
    alert_id: AlertId,
    by: Annotated[str, typer.Option("--by", help="Who looks after it.")],
    config: Config = None,
) -> None:
    """Acknowledge an alert: only a warning that comes to block, and its end, are told."""
    prepare(verbose=False)
    from case_monitor.cli.alerts import acknowledge

    acknowledge(config, alert_id, by)


@alerts.command()
def mute(
    alert_id: AlertId,
    until: Annotated[
        datetime, typer.Option("--until", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="In UTC; a day's beginning.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    by: Annotated[str, typer.Option("--by", help="Who does so.")],
    config: Config = None,
) -> None:
    """Keep an alert quiet for some time; if it is still open then, it is told once more."""
    prepare(verbose=False)
    from case_monitor.cli.alerts import mute

    mute(config, alert_id, until, reason, by)


@alerts.command()
def unmute(alert_id: AlertId, config: Config = None) -> None:
    """Let a muted alert be heard again."""
    prepare(verbose=False)
    from case_monitor.cli.alerts import unmute

    unmute(config, alert_id)
