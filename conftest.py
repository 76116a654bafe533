"""What every test may use; and the code of the README and of the docs runs as tests, page by page."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # read when Prefect is imported; the CLI sets it too

os.environ.setdefault("CASE_MONITOR_ALLOWED_HOSTS", "testserver")  # what Starlette's TestClient calls the service

from prefect.testing.utilities import prefect_test_harness
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from tests.docs import page, page_directory, prepare_page, run_console, write_config

__all__ = ["page", "page_directory"]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server for all flows of the session."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


_SHARED = {"demo", "prefect_server", "mlflow_server", "stack"}
"""What takes long to start. Tests that use one of these stay in one process."""


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, those of a file, and those that share a server, stay together."""
    for item in items:
        is_page = item.path.suffix == ".md"  # their code runs beside a server
        shared = is_page or not _SHARED.isdisjoint(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("servers" if shared else item.nodeid.partition("::")[0]))


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
