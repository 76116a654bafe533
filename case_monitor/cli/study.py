"""`study`: run the cells with progress, and say where the report lies."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from case_monitor.cli.exit_codes import COULD_NOT_RUN, PASS
from case_monitor.cli.say import print_json, say, say_error
from case_monitor.cli.standard_error import error_console
from case_monitor.cli.standard_output import results_console
from case_monitor.logs.configure import are_json
from case_monitor.steps.claims import hearing_of_waiting
from case_monitor.steps.progress import listening
from case_monitor.steps.requests import StudyRequest
from case_monitor.steps.running import run_flow
from case_monitor.steps.study import CELL, StudyOutcome, study


def run_study(file: Path | None, directory: Path, seeds: int | None, config: Path | None, *, as_json: bool) -> int:
    """Study; returns the exit code, which knows no verdict: whether every cell is there."""
    request = StudyRequest(
        file=None if file is None else str(file),
        directory=str(directory),
        seeds=seeds,
        config=None if config is None else str(config),
    )
    # Networks learn beside what is measured: threads that spin while they wait would take each other's cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with _showing_cells(f"study in {directory}"), hearing_of_waiting(say):
        outcome = run_flow(study, request)
    if as_json:
        print_json(_as_dict(outcome))
    else:
        _show(outcome)
    return COULD_NOT_RUN if outcome.unfinished else PASS


def _show(outcome: StudyOutcome) -> None:
    console = results_console()
    console.print(Text(f"{outcome.finished} cells, {outcome.measured} measured now."), soft_wrap=True)
    for line in outcome.unfinished:
        say_error(line)
    if outcome.report is not None:
        console.print(Text(f"Report: {outcome.report}"), soft_wrap=True)
        place = shlex.quote(str(outcome.report.parent))
        console.print(Text(f"Pages: cd {place} && case-monitor serve"), soft_wrap=True)


def _as_dict(outcome: StudyOutcome) -> dict[str, object]:
    return {
        "report": None if outcome.report is None else str(outcome.report),
        "finished": outcome.finished,
        "measured": outcome.measured,
        "unfinished": list(outcome.unfinished),
    }


@contextmanager
def _showing_cells(title: str) -> Iterator[None]:
    """One bar for all cells with what is being done, or a line for each cell where there is no terminal."""
    console = error_console()
    if not console.is_terminal or are_json():
        with listening(lambda stage, done, total: _say_cell(title, stage, done, total)):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bars:
        task, cell = bars.add_task(title, total=None), [title]

        def listen(stage: str, done: int, total: int) -> None:
            if stage.startswith(CELL):
                cell[0] = stage.removeprefix(CELL)
                bars.update(task, description=cell[0], completed=done, total=total)
            else:
                bars.update(task, description=f"{cell[0]}: {stage} {done}/{total}")

        with listening(listen):
            yield


def _say_cell(title: str, stage: str, done: int, total: int) -> None:
    if stage.startswith(CELL):
        say(f"{title}: {done} of {total}: {stage.removeprefix(CELL)}")
