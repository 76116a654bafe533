"""The networks that a study makes for itself: trained or built in a process beside, which says when each is there."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from case_monitor.domain.errors import ModelError
from case_monitor.isolation.confine.environment import scrubbed
from case_monitor.settings.study import StudySettings

_LOG = "networks.log"


class OwnNetworks:
    """The process that makes them; it ends with the block."""

    def __init__(self, directory: Path, command: list[str] | None) -> None:
        self._directory = directory
        self._command = command
        self._told: dict[tuple[str, int], str] = {}
        self._ended = ""
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None
        self._scratch = directory / ".scratch"

    @classmethod
    def of(cls, study: StudySettings, file: Path, tracking_uri: str) -> Self:
        """Those of a study that is written in a file; no process for one that has none."""
        own = any(model.architecture for model in study.models.values())
        command = [sys.executable, "-m", "case_monitor.networks", str(file), tracking_uri]
        return cls(file.parent, command if own else None)

    def __enter__(self) -> Self:
        if self._command is not None:
            self._log = (self._directory / _LOG).open("w", encoding="utf-8")
            shutil.rmtree(self._scratch, ignore_errors=True)  # of a run that was killed
            self._scratch.mkdir()
            # Without secrets, as whatever runs others' code: timm is an architecture's author's.
            environment = scrubbed(os.environ, self._scratch) | {"PATH": os.environ.get("PATH", "")}
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                stdin=subprocess.PIPE,  # it ends with whoever started it, also where that is killed
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env=environment,
                cwd=self._directory,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        if self._log is not None:
            self._log.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def wait_for(self, name: str, version: int) -> None:
        """Return once it is registered.

        Raises:
            ModelError: it will not be.
        """
        while (name, version) not in self._told:
            if self._ended:
                raise ModelError(f"{name}/{version}: {self._ended}")
            self._read_line()
        if self._told[name, version]:
            raise ModelError(self._told[name, version])

    def _read_line(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            self._ended = "there is no process that makes it"
            return
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self._ended = f"the process that makes it ended with {code}; {self._directory / _LOG} says more"
            return
        with suppress(ValueError, TypeError, KeyError):  # else it is what a library printed
            said = json.loads(line)
            self._told[said["name"], said["version"]] = said["error"]
