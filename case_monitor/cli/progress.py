"""Progress on the terminal: a bar per stage, or plain lines where there is no terminal, or logs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from case_monitor.cli.say import say
from case_monitor.cli.standard_error import error_console
from case_monitor.logs.configure import are_json
from case_monitor.logs.masking import masked
from case_monitor.steps.claims import hearing_of_waiting
from case_monitor.steps.progress import Listener, listening

_WORDS = {
    "predict": "predict the validation split",
    "predict baseline": "predict with the version in production",
    "explain": "explain and test the sample",
    "show again": "show some images again",
    "predict again": "predict some stored images again",
    "explain again": "explain and test them again",
}


@contextmanager
def showing_progress(title: str) -> Iterator[None]:
    """Show the progress of the flow that runs inside, and what it waits for, on standard error."""
    console = error_console()
    if console.is_terminal and not are_json():
        with _bars(console, title) as listener, listening(listener), hearing_of_waiting(_above_bars(console)):
            yield
    else:
        with listening(_lines(title)), hearing_of_waiting(say):
            yield


def _above_bars(console: Console) -> Callable[[str], None]:
    """Bars are drawn anew below what their own console prints."""
    return lambda line: console.print(Text(masked(line)), soft_wrap=True)


@contextmanager
def _bars(console: Console, title: str) -> Iterator[Listener]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bars:  # it is redirected already
        tasks = {"": bars.add_task(f"{escape(title)}: start", total=None)}

        def listen(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(f"{escape(title)}: {_WORDS.get(stage, stage)}", total=total)
            bars.update(tasks[stage], completed=done, total=total)
            bars.update(tasks[""], visible=False)

        yield listen


def _lines(title: str) -> Listener:
    shown: set[tuple[str, int]] = set()

    def listen(stage: str, done: int, total: int) -> None:
        quarter = 4 * done // max(total, 1)
        if (stage, quarter) not in shown:
            shown.add((stage, quarter))
            say(f"{title}: {_WORDS.get(stage, stage)}: {done} of {total}")

    return listen
