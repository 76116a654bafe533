"""The commands below `claims`; each imports what it does when it is called, so that `--help` waits for nothing."""

from pathlib import Path
from typing import Annotated

import typer

from case_monitor.cli.preparation import prepare

claims = typer.Typer(help="Who works on what: list the claims, release one.", rich_markup_mode=None)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file [default: case-monitor.yaml]."),
]


@claims.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the claims for machines.")] = False,
    config: Config = None,
) -> None:
    """List the claims: what is worked on, by which run, where, and whether that is alive; or release one."""
    if context.invoked_subcommand is None:
        prepare(verbose=False)
        from case_monitor.cli.claims import list_claims

        list_claims(config, as_json=json)


@claims.command()
def release(
    resource: Annotated[str, typer.Argument(help="What is claimed, as the list has it.")],
    force: Annotated[bool, typer.Option("--force", help="Even if its holder is alive.")] = False,
    config: Config = None,
) -> None:
    """Take a claim from a run that is no longer there, so that nobody waits for it."""
    prepare(verbose=False)
    from case_monitor.cli.claims import release_claim

    release_claim(config, resource, force=force)
