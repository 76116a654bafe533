"""What a command says beside its result; where nobody reads it any more, it is lost, and the command goes on."""

import sys
from contextlib import suppress

from rich.console import Console

from case_monitor.cli.standard_output import redirect


class _ErrorConsole(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the program with 1, which says that a version fails."""
        self.quiet = True
        redirect(2, None)  # what is buffered would be written again at the end


def error_console() -> Console:
    """For people, on standard error."""
    return _ErrorConsole(stderr=True)


def write_error(text: str) -> None:
    """The text as it is."""
    with suppress(OSError):
        sys.stderr.write(text)
