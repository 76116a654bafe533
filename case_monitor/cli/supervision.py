"""`case-monitor` as a process. A command that runs models does so in a child, whose end this process judges.

A model's code can end the process that it runs in (`os._exit`), or change its exit code (`atexit`); what came of the
command is therefore what the child reports, and without a report there is no verdict. A model that is out to deceive
can forge one still: this goes once models run in a process of their own, without the registry.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress

from case_monitor.cli.app import run_command
from case_monitor.cli.exit_codes import COULD_NOT_RUN
from case_monitor.cli.say import say_error
from case_monitor.logs.configure import configure_logs

_RUN_MODELS = {"check", "gate", "nightly", "explain", "doctor"}
_TO_BOTH = {"SIGINT", "SIGQUIT"}  # a terminal sends these to both processes
_PASSED_ON = {*_TO_BOTH, "SIGTERM", "SIGHUP"}
_AWAITED = {number for number in signal.Signals if number.name in {*_PASSED_ON, "SIGCHLD"}}  # Windows has few of them
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run a command, and never with 0 unless it came to its end."""
    words = sys.argv[1:]
    runs_models = bool(words) and words[0] in _RUN_MODELS and "--wait" not in words
    sys.exit(_supervised() if runs_models and hasattr(os, "fork") else run_command())


def _supervised() -> int:
    """Fork before anything heavy is imported, and thread begun; the child does the work."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would leave nothing to wait for
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return _report(run_command(), writing)
    os.close(writing)
    os.set_blocking(reading, False)  # a process that the child left behind may hold the other end open
    status, sent = _wait(child)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in sent:
        _end_as(os.WTERMSIG(status))
    return _judged(status, reading)


def _end_with(parent: int) -> None:
    """Die when the parent does, however it does; only Linux has this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(COULD_NOT_RUN)


def _report(code: int, writing: int) -> int:
    """The last thing that a command does: what it printed is out, what it stored is stored."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(writing, b"%d\n" % code)
    return code


def _wait(child: int) -> tuple[int, set[int]]:
    """The child's status, and the signals that were passed on to it meanwhile."""
    sent: set[int] = set()
    while True:
        number, is_known = _next_signal()
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, sent
        if number != signal.SIGCHLD:
            sent.add(number)
            if not is_known:
                with suppress(ProcessLookupError):
                    os.kill(child, number)


def _next_signal() -> tuple[int, bool]:
    """Wait for one; and whether the child has it already."""
    if sys.platform == "linux":
        found = signal.sigwaitinfo(_AWAITED)
        from_terminal = found.si_pid == 0  # the kernel, and no process
        return found.si_signo, from_terminal and signal.Signals(found.si_signo).name in _TO_BOTH
    return signal.sigwait(_AWAITED), False


def _end_as(number: int) -> None:
    """By the signal that was meant for the command."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)


def _judged(status: int, reading: int) -> int:
    """The code that the child reported, unless it died."""
    said = b""
    with suppress(BlockingIOError):
        said = os.read(reading, 64)
    code = said.removesuffix(b"\n")
    if os.WIFSIGNALED(status):
        how = f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    elif said.endswith(b"\n") and code.isdigit():
        return int(code)
    else:
        how = f"ended by itself with {os.waitstatus_to_exitcode(status)}"
    configure_logs()
    say_error(
        f"the process {how}, without a verdict that counts, whatever it said: a model's code can do that, and so can "
        "too little memory; run it again"
    )
    return COULD_NOT_RUN
