"""The commands below `db`; each imports what it does when it is called, so that `--help` waits for nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from case_monitor.cli.duration import read_duration
from case_monitor.cli.preparation import prepare
from case_monitor.domain.errors import ConfigError

database = typer.Typer(help="The results database.", no_args_is_help=True, rich_markup_mode=None)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file [default: case-monitor.yaml]."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs of Prefect and MLflow.")]


@database.command()
def upgrade(config: Config = None, verbose: Verbose = False) -> None:
    """Create the tables, or bring them to this version's schema."""
    prepare(verbose=verbose)
    from case_monitor.cli.upgrade import run_upgrade

    run_upgrade(config)


@database.command()
def prune(
    keep_scores: Annotated[
        str | None, typer.Option(help="Delete the scores per image of evaluations older than this: 90d, 12w.")
    ] = None,
    keep_alerts: Annotated[str | None, typer.Option(help="Delete alerts resolved longer ago than this: 365d.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted.")] = False,
    config: Config = None,
    verbose: Verbose = False,
) -> None:
    """Delete scores per image and resolved alerts that are old; summaries, verdicts and decisions are kept."""
    prepare(verbose=verbose)
    from case_monitor.cli.prune import run_prune

    if keep_scores is None and keep_alerts is None:
        msg = "db prune: --keep-scores or --keep-alerts was expected, such as --keep-scores 90d; nothing came"
        raise ConfigError(msg)
    scores = None if keep_scores is None else _before(read_duration(keep_scores, "--keep-scores"))
    alerts = None if keep_alerts is None else _before(read_duration(keep_alerts, "--keep-alerts"))
    run_prune(config, scores_before=scores, alerts_before=alerts, dry_run=dry_run)


@database.command("backup-check")
def backup_check(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    config: Config = None,
    verbose: Verbose = False,
) -> None:
    """Say whether results database and registry fit together, as after a restore; changes nothing."""
    prepare(verbose=verbose)
    from case_monitor.cli.backup_check import run_backup_check

    raise typer.Exit(run_backup_check(config, as_json=as_json))


def _before(age: timedelta) -> datetime:
    return datetime.now(UTC) - age
