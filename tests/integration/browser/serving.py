"""The service as a user starts it, over a database that is there."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import end_group, free_port, wait_until_healthy


@contextmanager
def serving(config: Path) -> Iterator[str]:
    """`case-monitor serve` with a configuration; gives its address."""
    port, log = free_port(), config.with_suffix(".log")
    command = [sys.executable, "-c", "from case_monitor.cli import main; main()"]
    command += ["serve", "--port", str(port), "--config", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=config.parent, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_healthy(address, process, log, path="/healthz")
            yield address
        finally:
            end_group(process)
