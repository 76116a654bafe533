"""What every test may use; and the code of the README and of the docs runs as tests, page by page.

Every run imports this module: Prefect, MLflow and torch, which take seconds, are imported by what uses them.
"""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # read when Prefect is imported; the CLI sets it too

# Models of the tests have classes of the tests, which are logged by name.
os.environ.setdefault("CASE_MONITOR_ISOLATION__READABLE", json.dumps([str(Path(__file__).parent)]))
# Importing Evidently takes longer than the rest of a small evaluation; tests of its reports ask for them.
os.environ.setdefault("CASE_MONITOR_EVIDENTLY_REPORTS", "false")
os.environ.setdefault("CASE_MONITOR_ALLOWED_HOSTS", "testserver")  # what Starlette's TestClient calls the service

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from tests.support.docs import page, page_directory, prepare_page, run_console, write_config

__all__ = ["page", "page_directory"]

pytest_plugins = (
    "tests.support.databases",
    "tests.support.fault_table",
    "tests.support.forked_commands",
    "tests.support.mlflow_registries",
    "tests.support.profiles",
    "tests.support.selection",
    "tests.support.sharing",
)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server for all flows of the session.

    It looks for a free port and starts seconds later; who has the port by then answers in its place.
    """
    from httpx import HTTPStatusError
    from prefect.testing.utilities import prefect_test_harness

    with ExitStack() as held:
        try:
            held.enter_context(prefect_test_harness(server_startup_timeout=120))
        except (HTTPStatusError, RuntimeError):
            held.enter_context(prefect_test_harness(server_startup_timeout=120))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed may be no UTF-8, on purpose, and could not be sent from one process to the other."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="yaml", evaluator=write_config),
        CodeBlockParser(language="console", evaluator=run_console),
    ],
    patterns=["README.md", "docs/*.md"],
    fixtures=["page"],
    setup=prepare_page,
).pytest()
