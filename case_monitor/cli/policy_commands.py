"""`case-monitor policy`: what the gate asks, and what other thresholds would have said.

Each command imports what it does when it is called, so that `--help` waits for nothing.
"""

from pathlib import Path
from typing import Annotated

import typer

from case_monitor.cli.preparation import prepare

policy = typer.Typer(help="The policy of the gate.", no_args_is_help=True, rich_markup_mode=None)

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
    from case_monitor.cli.policy_show import print_policies

    print_policies(config, model, as_json=json)


@policy.command("try")
def try_policy(
    config: Config = None,
    model: Model = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many stored evaluations of each model.")] = 20,
    json: Json = False,
) -> None:
    """Judge stored evaluations by the policy in effect, and show which verdicts would change. Changes nothing."""
    prepare(verbose=False)
    from case_monitor.cli.policy_try import print_trials

    print_trials(config, model, last, as_json=json)
