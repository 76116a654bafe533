"""The stack of `make stack`, started as a user would start it, on free ports and in a directory of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.servers import free_port

ROOT = Path(__file__).parent.parent.parent
UP_WITHIN_S, DOWN_WITHIN_S = 1200, 600
SERVERS = ("postgres", "mlflow", "prefect", "worker", "service")


@dataclass
class RunningStack:
    """Start and stop it as often as needed; ports, data and secrets stay.

    `environment` is that of a shell in which `stack/environment` was read: `case-monitor`, `mlflow` and `prefect` work
    with the stack in it.
    """

    directory: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in SERVERS})
    config_text: str = "models: {}\n"
    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def new(cls) -> "RunningStack":
        """A new directory. Not below pytest's: as root, PostgreSQL's own user must be allowed to enter the parents."""
        directory = Path(tempfile.mkdtemp(prefix="case-monitor-stack-"))
        directory.chmod(0o711)
        return cls(directory)

    @property
    def config(self) -> Path:
        """The configuration of worker, service and set-up; `write_config` before a start."""
        return self.directory / "case-monitor.yaml"

    @property
    def log(self) -> str:
        """All that it said since the last start."""
        return (self.directory / "log.txt").read_text(errors="replace")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def mlflow_url(self) -> str:
        return self.url("mlflow")

    @property
    def prefect_api(self) -> str:
        return self.url("prefect") + "/api"

    @property
    def service_url(self) -> str:
        return self.url("service")

    @property
    def environment(self) -> dict[str, str]:
        lines = (self.directory / "environment").read_text().splitlines()
        exports = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        return self._clean_environment() | exports | {"PREFECT_HOME": str(self.directory / "prefect")}

    @property
    def database_url(self) -> str:
        return self.environment["CASE_MONITOR_DATABASE_URL"]

    def secret(self, name: str) -> str:
        return (self.directory / "secrets" / name).read_text()

    def start(self) -> float:
        """Start it and wait until it says that it is ready; the seconds that took."""
        self.config.write_text(self.config_text)
        began = time.monotonic()
        with (self.directory / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "docker/local/stack.py", str(self.directory)],
                cwd=ROOT,
                env=self._clean_environment()
                | {f"STACK_{name.upper()}_PORT": str(p) for name, p in self.ports.items()},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while "stack: ready" not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() - began < UP_WITHIN_S, self.log
            time.sleep(0.2)
        return time.monotonic() - began

    def family(self) -> list[psutil.Process]:
        """The stack's process and all below it."""
        assert self.process is not None
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def stop(self, name: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        assert self.process is not None
        self.process.send_signal(name)
        return self.process.wait(DOWN_WITHIN_S)

    def end(self) -> None:
        """Stop it if it runs. A stack that was killed takes its processes along."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _clean_environment(self) -> dict[str, str]:
        ours = ("MLFLOW_", "PREFECT_", "CASE_MONITOR_", "PG")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # ten processes would compile the same modules again
        return kept | {"PATH": path, "DO_NOT_TRACK": "true"}
