"""What a command says: its result for machines, and beside it a line on standard error, or a log."""

import json
import logging

from rich.text import Text

from case_monitor.cli.standard_error import error_console
from case_monitor.cli.standard_output import results
from case_monitor.logs.configure import are_json
from case_monitor.logs.masking import masked

_logger = logging.getLogger("case_monitor.cli")


def say(line: str) -> None:
    """Say how it goes. The line is untrusted: Text, never markup."""
    if are_json():
        _logger.info("%s", line)
    else:
        error_console().print(Text(masked(line)), soft_wrap=True)


def say_error(message: str, unexpected: Exception | None = None) -> None:
    """One line on standard error, or in the log."""
    line = " ".join(masked(message).split())
    if are_json():
        _logger.error("%s", line, exc_info=unexpected)
    else:
        said = Text(f"error: {line}", style="bold red")
        error_console().print(said, soft_wrap=True)


def print_json(result: object) -> None:
    """A command's result on standard output, as strict JSON."""
    results().write(json.dumps(result, indent=2, allow_nan=False) + "\n")
