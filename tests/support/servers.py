"""Programs that tests start: a free port, the wait until they answer, and their end."""

import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest


def free_port() -> int:
    """Of this process's own share, and none that the kernel gives to whoever asks: nobody has it before the server."""
    share = 10000 + 5000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4)
    while True:
        port = share + secrets.randbelow(5000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def wait_until_healthy(uri: str, process: "subprocess.Popen[bytes]", log: Path, path: str = "/health") -> None:
    for _ in range(480):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(uri + path, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the server did not become healthy:\n{log.read_text()}")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
