"""The whole stack without containers: `make stack`, or `python docker/local/stack.py [DIRECTORY]`.

It starts the entry points that the images run, on loopback, with data and secrets below the directory, and stops them
in order on Ctrl-C or SIGTERM. Ports are the usual ones where they are free; `STACK_MLFLOW_PORT` and the like set them.
"""

import base64
import fcntl
import os
import secrets
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from postgres_programs import choose
from supervisor import StackError, Stopped, Supervisor
from topology import Topology

USUAL_PORTS = {"postgres": 5432, "mlflow": 5000, "prefect": 4200, "worker": 8080, "service": 8000}
NEW_CONFIG = "# The stack's worker and service read this. See docs/configuration.md.\nmodels: {}\n"
SECRETS = (
    "postgres_password",
    "case_monitor_database_password",
    "mlflow_database_password",
    "prefect_database_password",
    "mlflow_webhook_encryption_key",
    "webhook_secret",
)


def main() -> int:
    """Run until a signal comes (0) or a process ends (1)."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "stack").absolute()
    supervisor = Supervisor(say=_say)
    try:
        with locked(directory), supervisor.signals():
            run(prepare(directory), supervisor)
    except Stopped:
        return 0
    except (StackError, LookupError, OSError) as error:
        print(f"stack: {error}", file=sys.stderr, flush=True)
    return 1


def prepare(directory: Path) -> Topology:
    """Choose ports and programs; make what a new directory needs."""
    make_secrets(directory / "secrets")
    topology = Topology(
        directory=directory,
        ports=choose_ports(os.environ),
        programs=choose(directory / "postgres", os.environ.get("STACK_POSTGRES_BIN")),
        config=find_config(directory),
    )
    if file := topology.prefect_file:
        _say(f"stack: Prefect keeps its data in {file}: for PostgreSQL it needs pg_trgm (docs/deployment.md)")
    return topology


def run(topology: Topology, supervisor: Supervisor) -> None:
    """Up, until something happens, and down."""
    began = time.monotonic()
    try:
        supervisor.up(topology.stages(), float(os.environ.get("STACK_TIMEOUT", "300")))
        announce(topology, time.monotonic() - began)
        supervisor.watch()
    finally:
        _say("stack: going down")
        supervisor.down()
        _say("stack: down")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """The directory, for one stack at a time."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{directory} is in use by another stack"
            raise StackError(msg) from None
        yield


def choose_ports(environment: Mapping[str, str]) -> dict[str, int]:
    """A port for each: the one that is set, else the usual one if it is free, else any.

    Raises:
        StackError: a port that was asked for is taken, or no port.
    """
    with ExitStack() as held:  # until all are chosen, so that no two are the same
        listeners = {
            name: held.enter_context(_listener(usual, f"STACK_{name.upper()}_PORT", environment))
            for name, usual in USUAL_PORTS.items()
        }
        return {name: listener.getsockname()[1] for name, listener in listeners.items()}


def _listener(usual: int, variable: str, environment: Mapping[str, str]) -> socket.socket:
    wanted = environment.get(variable)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(wanted) if wanted else usual))
    except (OSError, ValueError, OverflowError) as error:
        if wanted:
            listener.close()
            msg = f"{variable}={wanted}: a free port was expected: {error}"
            raise StackError(msg) from None
        listener.bind(("127.0.0.1", 0))
    return listener


def make_secrets(folder: Path) -> None:
    """A random secret in each file that is not there yet, for its owner only."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in SECRETS:
        if not (folder / name).exists():
            fernet = name == "mlflow_webhook_encryption_key"
            new = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() if fernet else secrets.token_hex(32)
            write_private(folder / f"{name}.new", new)
            (folder / f"{name}.new").rename(folder / name)  # whole or not at all


def find_config(directory: Path) -> Path:
    """CASE_MONITOR_CONFIG, else a file in the directory, made if need be."""
    given = os.environ.get("CASE_MONITOR_CONFIG")
    file = Path(given).absolute() if given else directory / "case-monitor.yaml"
    if not given and not file.exists():
        file.write_text(NEW_CONFIG)
    return file


def announce(topology: Topology, seconds: float) -> None:
    """Say where everything is, and write what a shell needs to reach it to `environment`."""
    file = topology.directory / "environment"
    exports = (f"export {name}={shlex.quote(value)}\n" for name, value in topology.for_a_shell().items())
    write_private(file, "".join(exports))
    rows = {
        "MLflow": topology.url("mlflow"),
        "Prefect": topology.url("prefect"),
        "service": topology.url("service"),
        "worker": topology.url("worker") + "/health",
        "PostgreSQL": f"127.0.0.1:{topology.ports['postgres']}",
    }
    _say(f"stack: ready after {seconds:.0f} s")
    for name, place in rows.items():
        _say(f"stack:   {name:10} {place}")
    _say(f"stack:   `. {shlex.quote(str(file))}` sets a shell up for it; Ctrl-C stops it")


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


_one_at_a_time = threading.Lock()
_listening = True


def _say(text: str) -> None:
    """Print a line. Whoever read them may have gone (`make stack | head`): the stack goes on."""
    global _listening
    with _one_at_a_time:
        if _listening:
            try:
                print(text, flush=True)
            except OSError:
                _listening = False


if __name__ == "__main__":
    sys.exit(main())
