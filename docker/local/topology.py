"""The processes of the stack without containers, and what each is told. `compose.yaml` says the same of containers."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from postgres_programs import Programs
from supervisor import Process

ENTRYPOINTS = Path(__file__).resolve().parents[1] / "entrypoints"
sys.path.append(str(ENTRYPOINTS))  # a folder of programs, which the images have as well

from answers import problem  # noqa: E402

# What the shell of whoever starts the stack says of other servers must not reach this one.
FOREIGN = ("MLFLOW_", "PREFECT_", "CASE_MONITOR_", "DATABASE_", "POSTGRES_", "PG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The processes of one directory, on these ports of loopback."""

    directory: Path
    ports: Mapping[str, int]
    programs: Programs
    config: Path

    @property
    def prefect_file(self) -> Path | None:
        """Where Prefect keeps its data: None for PostgreSQL, if that has what Prefect needs. It never moves away."""
        file = self.directory / "prefect.db"
        return file if file.exists() or not self.programs.has_trigrams else None

    def stages(self) -> list[list[Process]]:
        """In the order of starting."""
        case_monitor = self._case_monitor()
        return [
            [self._postgres()],
            [self._job("databases", self._superuser())],
            [
                self._server("mlflow", self._mlflow(), "/health"),
                self._server("prefect", self._prefect(), "/api/health", script="prefect-server.sh"),
                self._job("setup", case_monitor),
            ],
            [self._server("worker", case_monitor, "/health"), self._server("service", case_monitor, "/readyz")],
        ]

    def url(self, name: str) -> str:
        """Where a server is."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def for_a_shell(self) -> dict[str, str]:
        """What a shell needs to reach the stack."""
        password = self._secret("case_monitor_database_password").read_text()
        address = f"127.0.0.1:{self.ports['postgres']}/case_monitor"
        return {
            "MLFLOW_TRACKING_URI": self.url("mlflow"),
            "PREFECT_API_URL": self.url("prefect") + "/api",
            "CASE_MONITOR_TRACKING_URI": self.url("mlflow"),
            "CASE_MONITOR_DATABASE_URL": f"postgresql+psycopg2://case_monitor:{password}@{address}",
            "CASE_MONITOR_SERVICE_URL": self.url("service"),
            "CASE_MONITOR_CONFIG": str(self.config),
        }

    def _postgres(self) -> Process:
        own = {
            "PGDATA": str(self.directory / "postgres"),
            "BIND_PORT": str(self.ports["postgres"]),
            "POSTGRES_BIN": str(self.programs.folder),
            "POSTGRES_PASSWORD_FILE": str(self._secret("postgres_password")),
        }
        return Process(
            name="postgres",
            command=(sys.executable, str(ENTRYPOINTS / "postgres.py")),
            environment=self._common() | own,
            ready=self._postgres_is_ready,
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown; SIGTERM would wait for its clients
            stop_alone=True,
        )

    def _postgres_is_ready(self) -> bool:
        port = str(self.ports["postgres"])
        command = [str(self.programs.folder / "pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", port]
        return subprocess.run(command, check=False).returncode == 0

    def _superuser(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join([self._common()["PATH"], str(self.programs.folder)]),  # for psql
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.ports["postgres"]),
            "PGPASSWORD": self._secret("postgres_password").read_text(),
            "DATABASE_PASSWORDS": str(self.directory / "secrets"),
        }

    def _mlflow(self) -> dict[str, str]:
        return self._database("mlflow") | {
            "MLFLOW_ARTIFACTS_DESTINATION": str(self.directory / "artifacts"),
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY_FILE": str(self._secret("mlflow_webhook_encryption_key")),
            # The service is on loopback, and speaks HTTP.
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        }

    def _prefect(self) -> dict[str, str]:
        if self.prefect_file:
            return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self.prefect_file}"}
        return self._database("prefect")

    def _case_monitor(self) -> dict[str, str]:
        return self._database("case_monitor") | {
            "CASE_MONITOR_CONFIG": str(self.config),
            "CASE_MONITOR_TRACKING_URI": self.url("mlflow"),
            "CASE_MONITOR_SERVICE_URL": self.url("service"),
            "CASE_MONITOR_PREFECT_URL": self.url("prefect"),
            "CASE_MONITOR_WEBHOOK_SECRET_FILE": str(self._secret("webhook_secret")),
            "PREFECT_API_URL": self.url("prefect") + "/api",
        }

    def _database(self, name: str) -> dict[str, str]:
        return {
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(self.ports["postgres"]),
            "DATABASE_PASSWORD_FILE": str(self._secret(f"{name}_database_password")),
        }

    def _secret(self, name: str) -> Path:
        return self.directory / "secrets" / name

    def _common(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path, here = kept.get("PATH", os.defpath).split(os.pathsep), str(Path(sys.executable).parent)
        return kept | {
            "PATH": os.pathsep.join(path if here in path else [here, *path]),
            "PREFECT_HOME": str(self.directory / "prefect"),  # no profile of this user
            "BIND_HOST": "127.0.0.1",
        }

    def _server(self, name: str, own: dict[str, str], health: str, script: str | None = None) -> Process:
        url = self.url(name) + health
        return Process(
            name=name,
            command=(str(ENTRYPOINTS / (script or f"{name}.sh")),),
            environment=self._common() | own | {"BIND_PORT": str(self.ports[name])},
            ready=lambda: problem(url) is None,
        )

    def _job(self, name: str, own: dict[str, str]) -> Process:
        return Process(name=name, command=(str(ENTRYPOINTS / f"{name}.sh"),), environment=self._common() | own)
