"""One thread per process: on images this small, more only wait for each other. OMP_NUM_THREADS asks for others."""

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")
    if torch is None:  # what has not imported it until here has no use for its threads
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    yield
    torch.set_num_threads(before)
