"""Commands and exit codes: 0 pass, 1 fail, 3 insufficient, 2 could not run.

Each command imports its own module when it is called: none waits for what another needs (torch, MLflow, Prefect).
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from case_monitor import __version__
from case_monitor.cli.alert_commands import alerts
from case_monitor.cli.claim_commands import claims
from case_monitor.cli.database_commands import database
from case_monitor.cli.exit_codes import COULD_NOT_RUN, INTERRUPTED, PASS
from case_monitor.cli.policy_commands import policy
from case_monitor.cli.preparation import prepare
from case_monitor.cli.require_names import require_model, require_names
from case_monitor.cli.research_commands import layers, study
from case_monitor.cli.say import say_error
from case_monitor.cli.standard_error import write_error
from case_monitor.cli.standard_output import given_back
from case_monitor.domain.errors import CaseMonitorError, ConfigError
from case_monitor.logs.configure import are_json, configure_logs
from case_monitor.logs.masking import masked

app = typer.Typer(
    help="Find out whether the saliency maps of a registered image classifier tell classes apart, before users do.",
    epilog="Exit codes: 0 pass, 1 fail, 3 insufficient evidence, 2 could not run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
webhook = typer.Typer(help="The webhook on the MLflow server.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(database, name="db")
app.add_typer(webhook, name="webhook")
app.add_typer(alerts, name="alerts")
app.add_typer(policy, name="policy")
app.add_typer(claims, name="claims")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A registered version: name/3 or name@alias.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file [default: case-monitor.yaml]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict for machines.")]
First = Annotated[
    bool, typer.Option("--first", help="Judge it without comparison, though the alias, held by none, was held before.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs of Prefect and MLflow.")]


@app.command()
def check(
    model: Model,
    config: Config = None,
    json: Json = False,
    first: First = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing, tell nobody.")] = False,
    layer: Annotated[str | None, typer.Option("--layer", help="Explain this layer; only with --dry-run.")] = None,
    verbose: Verbose = False,
) -> None:
    """Evaluate a version: measure, store, publish to MLflow. Moves no alias."""
    prepare(verbose=verbose)
    require_model(model, config)
    if layer is not None and not dry_run:
        msg = f"--layer {layer}: --dry-run was expected beside it; what is stored is of the configured layer"
        raise ConfigError(msg)
    if dry_run:
        from case_monitor.cli.dry_run import run_dry_check

        raise typer.Exit(run_dry_check(model, layer, config, as_json=json, first=first))
    from case_monitor.cli.run import run_check

    raise typer.Exit(run_check(model, config, as_json=json, first=first))


@app.command()
def gate(
    model: Model,
    config: Config = None,
    json: Json = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Evaluate again even if the result is stored.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Have a worker of the running stack do it.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the worker.")] = 3600,
    first: First = False,
    verbose: Verbose = False,
) -> None:
    """Evaluate a version if needed; move the alias to it on pass, withhold it otherwise; log the decision."""
    prepare(verbose=verbose)
    if wait:
        from case_monitor.cli.gate_by_worker import run_gate_by_worker

        raise typer.Exit(run_gate_by_worker(model, config, as_json=json, fresh=fresh, first=first, timeout_s=timeout))
    require_model(model, config)
    from case_monitor.cli.run import run_gate

    raise typer.Exit(run_gate(model, config, as_json=json, fresh=fresh, first=first))


@app.command()
def override(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A registered version: name/3.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for everybody to read.")],
    until: Annotated[
        datetime, typer.Option("--until", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="In UTC; a day's beginning.")
    ],
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print the decision for machines.")] = False,
    verbose: Verbose = False,
) -> None:
    """Move the alias to an evaluated version against its verdict; log it, and tell everybody."""
    prepare(verbose=verbose)
    require_model(model, config)
    from case_monitor.alerts.override import require_answer

    require_answer(by, reason, until.replace(tzinfo=UTC), datetime.now(UTC))
    from case_monitor.cli.override import run_override

    run_override(model, by, reason, until, config, as_json=json)


@app.command()
def nightly(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Registered names [default: all configured].")
    ] = None,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it for machines.")] = False,
    verbose: Verbose = False,
) -> None:
    """Check the versions in production: the stored figures must come out again; what is new is evaluated."""
    prepare(verbose=verbose)
    names = tuple(models or ())
    require_names(names, config)
    from case_monitor.cli.nightly import run_nightly

    raise typer.Exit(run_nightly(names, config, as_json=json))


@app.command()
def explain(
    model: Model,
    image: Annotated[Path, typer.Argument(help="An image file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("explanation.png"),
    config: Config = None,
    verbose: Verbose = False,
) -> None:
    """Draw the saliency maps of one image, for the predicted and the second class, with every method."""
    prepare(verbose=verbose)
    require_model(model, config)
    from case_monitor.cli.explain import run_explain

    run_explain(model, image, output, config)


app.command()(layers)
app.command()(study)


@app.command()
def doctor(
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print the checks for machines.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Load no model.")] = False,
    verbose: Verbose = False,
) -> None:
    """Look at everything that a check needs: configuration, databases, servers, models, images, GPU."""
    prepare(verbose=verbose)
    from case_monitor.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(config, quick=quick, as_json=json))


@app.command()
def demo(
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Where to put everything.")] = Path("demo"),
    verbose: Verbose = False,
) -> None:
    """Train three versions of a digit classifier and gate them: the third is accurate, and withheld."""
    prepare(verbose=verbose)
    from case_monitor.cli.demo import run_demo

    run_demo(directory)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    config: Config = None,
    verbose: Verbose = False,
) -> None:
    """Run the web service: the pages, the JSON API, health, metrics, and the receiver of MLflow's webhooks."""
    prepare(verbose=verbose)
    from case_monitor.cli.serve import run_serve

    run_serve(host, port, config)


@webhook.command()
def register(config: Config = None, verbose: Verbose = False) -> None:
    """Have the MLflow server tell the service of every registered version; may be run again."""
    prepare(verbose=verbose)
    from case_monitor.cli.webhook import register_webhook

    register_webhook(config)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version  # handled by its callback


def main() -> None:
    """Run a command in this process."""
    sys.exit(run_command())


def run_command() -> int:
    """Run a command; every failure is one line and exit code 2, never 1, which means "the version fails".

    Returns:
        The exit code. It is a command's own: a SystemExit that anything else raises is no verdict.
    """
    try:
        with given_back():
            configure_logs()
            app()
    except SystemExit as stop:
        if isinstance(stop.__context__, typer.Exit):  # which typer makes it of, at the end of a command
            return int(stop.code or PASS)
        if stop.code != COULD_NOT_RUN:  # as for arguments that are wrong, which typer has told
            say_error(f"something ended the program, with {stop.code!r}: there is no verdict")
    except CaseMonitorError as error:
        if error.__cause__ is not None:
            _show_traceback()
        say_error(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        shown = _show_traceback()
        say_error(
            f"unexpected {type(error).__name__}: {error}{'' if shown else ' (run with --verbose for details)'}", error
        )
    return COULD_NOT_RUN


def _show_traceback() -> bool:
    """With --verbose; returns whether that was asked for."""
    verbose = logging.getLogger("case_monitor").isEnabledFor(logging.DEBUG)
    if verbose and not are_json():
        write_error(masked(traceback.format_exc()))
    return verbose
