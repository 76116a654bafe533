"""What every test may use; and the code of the README and of the docs runs as tests, page by page."""

import os
from collections.abc import Generator, Iterator

import pytest

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # read when Prefect is imported; the CLI sets it too

os.environ.setdefault("CASE_MONITOR_ALLOWED_HOSTS", "testserver")  # what Starlette's TestClient calls the service

from prefect.testing.utilities import prefect_test_harness
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.docs import page, page_directory, prepare_page, run_console, write_config

__all__ = ["page", "page_directory"]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server for all flows of the session."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


_DEMO, _STACK, _BROWSER, _PAGES = "demo", "stack", "browser", "pages"
_TOGETHER = {
    "tests/integration/browser/test_demo_pages.py": _DEMO,
    "tests/integration/browser/": _BROWSER,
    "tests/integration/test_stack.py": _STACK,
    "tests/integration/test_trigger.py": _STACK,
    "tests/integration/": _DEMO,
    "docs/": _PAGES,
    "README.md": _PAGES,
}


class _Scheduling(LoadScopeScheduling):
    """Where several processes share the tests, those of a file stay together, and those that share what is slow."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for place, group in _TOGETHER.items() if file.startswith(place)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Ours, in place of --dist."""
    return _Scheduling(config, log)


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
