"""Standard output holds a command's results and nothing else, whatever libraries and models write there."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from click import Command, Group

from case_monitor import __version__
from case_monitor.cli import app
from case_monitor.cli.preparation import prepare
from case_monitor.cli.standard_output import given_back, reserve, results, results_console
from tests.support.commands import run_cli
from tests.support.forked_commands import Forked

FOREIGN = """
import atexit, ctypes, logging, os, subprocess, sys, threading
import case_monitor.settings
early = sys.stdout
load = case_monitor.settings.load_settings
def talking(path=None):
    print("FOREIGN print http://me:s3cret@host")
    print("FOREIGN half", end=" a line\\n")
    sys.stdout.buffer.write(b"FOREIGN bytes\\n")
    early.write("FOREIGN early\\n")
    sys.__stdout__.write("FOREIGN original\\n")
    os.write(1, b"FOREIGN descriptor\\n")
    ctypes.CDLL(None).printf(b"FOREIGN printf\\n")
    subprocess.run(["echo", "FOREIGN child"], check=True)
    subprocess.run(["echo", "FOREIGN child of stdout"], check=True, stdout=sys.stdout)
    thread = threading.Thread(target=print, args=["FOREIGN thread"])
    thread.start(); thread.join()
    logging.getLogger("theirs").addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("theirs").warning("FOREIGN handler")
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    atexit.register(print, "FOREIGN last words")
    print(("FOREIGN a lot\\n") * 10_000)
    return load(path)
case_monitor.settings.load_settings = talking
sys.argv = ["case-monitor", *sys.argv[1:]]
from case_monitor.cli import main
main()
"""
WAYS = ("print", "half a line", "bytes", "thread", "handler", "last words")  # those that Python knows of


def talking(*arguments: str, folder: Path, shell: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    command: Any = [sys.executable, "-c", FOREIGN, *arguments]
    if shell:
        command = ["bash", "-c", shell, "bash", *command]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_results_alone_reach_it(tmp_path: Path, arguments: list[str]) -> None:
    done = talking("policy", "show", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "FOREIGN" not in done.stdout
    if arguments:
        assert json.loads(done.stdout)[""]["gate_method"] == "case"
    else:
        assert "All blocking rules must pass." in done.stdout


def test_what_python_code_prints_is_a_masked_log(tmp_path: Path) -> None:
    done = talking("policy", "show", "--json", folder=tmp_path, CASE_MONITOR_LOG_FORMAT="json")
    assert json.loads(done.stdout)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    said = [line["message"] for line in lines if line["logger"] == "case_monitor.foreign"]
    assert "FOREIGN print http://me:***@host" in said
    for way in WAYS:
        assert any(message.startswith(f"FOREIGN {way}") for message in said), way
    assert said.count("FOREIGN a lot") == 10_000
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("target", "reason"),
    [('"$@" >/dev/full', "No space left on device"), ('exec 3> >(exit); wait $!; exec "$@" >&3', "Broken pipe")],
)
def test_a_result_that_nobody_gets_is_no_verdict(tmp_path: Path, target: str, reason: str) -> None:
    """A closed pipe would end with 1, as a version that fails does."""
    done = talking("policy", "show", folder=tmp_path, shell=target)
    assert done.returncode == 2
    assert f"error: standard output: the result cannot be written: {reason}" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["policy", "show"], 0),
        (["claims"], 0),
        (["check", "not a name"], 2),
    ],
    ids=str,
)
def test_nobody_reads_what_is_said_beside_it(tmp_path: Path, words: list[str], code: int) -> None:
    """Rich would end a command whose standard error is a closed pipe with 1, which says that a version fails."""
    (tmp_path / "case-monitor.yaml").write_text("models: {digits: {split: {kind: npz, path: nothing.npz}}}\n")
    shell = 'exec 3> >(exit); wait $!; exec "$@" 2>&3'
    command = ["bash", "-c", shell, "bash", sys.executable, "-m", "case_monitor", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)


@pytest.mark.parametrize("options", [[], ["--verbose"]], ids=str)
def test_nobody_reads_what_a_check_says(tmp_path: Path, forked_cli: Forked, options: list[str]) -> None:
    (tmp_path / "case-monitor.yaml").write_text("models: {digits: {split: {kind: npz, path: nothing.npz}}}\n")
    ran = forked_cli("check", "digits/1", *options, cwd=tmp_path, nobody_listens=True)
    assert (ran.code, ran.out) == (2, "")


def test_nobody_reads_either(tmp_path: Path) -> None:
    shell = 'exec 3> >(exit); wait $!; exec "$@" >&3 2>&3'
    command = ["bash", "-c", shell, "bash", sys.executable, "-m", "case_monitor", "policy", "show"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 2


def test_without_standard_error_nothing_else_takes_its_place(tmp_path: Path) -> None:
    done = talking("policy", "show", "--json", folder=tmp_path, shell='"$@" 2>&-')
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[""]["gate_method"] == "case"


def test_without_standard_output_it_goes_on(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['case-monitor', 'policy', 'show']; from case_monitor.cli import main; main()"
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("command", ["", "check", "policy try", "alerts"])
def test_help_is_a_result_too(tmp_path: Path, command: str) -> None:
    ran = run_cli(*command.split(), "--help", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Usage: ")


def test_so_is_the_version(tmp_path: Path) -> None:
    assert run_cli("--version", cwd=tmp_path).out == f"{__version__}\n"


def fail_between_foreign_and_ours() -> None:
    with given_back():
        reserve()
        reserve()
        sys.stdout.write("foreign\n")
        results_console().print("ours")
        raise ZeroDivisionError


def test_in_a_larger_process_it_is_given_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with pytest.raises(ZeroDivisionError):
        fail_between_foreign_and_ours()
    assert sys.stdout is before
    assert capsys.readouterr().out == "ours\n"
    with pytest.raises(RuntimeError, match="not reserved"):
        results()


def commands(command: Command, name: str = "") -> dict[str, Command]:
    """All that do something, by their whole names."""
    found = {name: command} if command.callback and not getattr(command, "no_args_is_help", False) and name else {}
    if isinstance(command, Group) or hasattr(command, "commands"):
        for child, below in command.commands.items():
            found |= commands(below, f"{name} {child}".strip())
    return found


def test_every_command_reserves_it_first() -> None:
    found = commands(typer.main.get_command(app))
    assert {"check", "gate", "nightly", "explain", "doctor", "demo", "serve", "alerts", "alerts ack"} <= found.keys()
    for name, command in found.items():
        body = inspect.getsource(inspect.unwrap(command.callback)).split('"""')[2]  # type: ignore[arg-type]
        statements = [line.strip() for line in body.splitlines() if line.strip()]
        first = statements[1] if statements[0].startswith("if context.invoked_subcommand is None") else statements[0]
        assert first.startswith(f"{prepare.__name__}("), name
