"""Commands for those who ask about models and methods, not about a release. They move no alias and tell nobody.

Each imports what it does when it is called, so that `--help` waits for nothing.
"""

from pathlib import Path
from typing import Annotated

import typer

from case_monitor.cli.preparation import prepare
from case_monitor.cli.require_names import require_model
from case_monitor.domain.errors import ConfigError

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file [default: case-monitor.yaml]."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs of Prefect and MLflow.")]
SMALL = "small"


def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A registered version: name/3 or name@alias.")],
    layer: Annotated[
        list[str] | None, typer.Option("--layer", help="A layer to try; may be repeated [default: up to 8].")
    ] = None,
    images: Annotated[int, typer.Option("--images", min=20, help="Images to draw.")] = 200,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures for machines.")] = False,
    verbose: Verbose = False,
) -> None:
    """Explain a few images at several layers, and recommend one. Stores nothing."""
    prepare(verbose=verbose)
    require_model(model, config)
    from case_monitor.cli.layers import run_layers

    run_layers(model, tuple(layer or ()), images, config, as_json=json)


def study(
    file: Annotated[Path | None, typer.Argument(help="What to study (docs/study.md).")] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="`small`: networks that are trained here.")] = None,
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="Where results lie; a second run goes on where this one stops.")
    ] = Path("study"),
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, max=100, help="Of the preset [default: 5].")] = None,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print what came of it for machines.")] = False,
    verbose: Verbose = False,
) -> None:
    """Explain and test models x layers x seeds: the tables and figures of the paper, of any models. Moves no alias."""
    prepare(verbose=verbose)
    if (file is None) == (preset is None) or preset not in {None, SMALL}:
        came = f"{file} and --preset {preset}" if file else f"--preset {preset}" if preset else "neither"
        raise ConfigError(f"study: a file, or --preset {SMALL}, was expected, {came} came")
    if seeds is not None and preset is None:
        raise ConfigError("--seeds: --preset was expected beside it; a file says which seeds each model has")
    if file is not None:
        from case_monitor.settings.study import read_study

        read_study(file)  # before anything heavy is imported
    from case_monitor.cli.study import run_study

    raise typer.Exit(run_study(file, directory, seeds, config, as_json=json))
