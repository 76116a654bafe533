"""A process that holds a claim, to be killed: `python -m tests.support.holding_process URL RESOURCE HOLDER`."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from case_monitor.store.connection import connect
from case_monitor.store.work.claims import claimed


@contextmanager
def holding(url: str, resource: str, holder: str) -> "Iterator[subprocess.Popen[str]]":
    """A process of its own that holds the resource; it is ended afterwards if it still lives."""
    command = [sys.executable, "-m", "tests.support.holding_process", url, resource, holder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    url, resource, holder = sys.argv[1:]
    with claimed(connect(url), [resource], holder):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        time.sleep(600)
