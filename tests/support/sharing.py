"""How several processes share the tests (`pytest -n 2`): what stays together, and what begins first."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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
    """Those of a file stay together, and those that share what is slow."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for place, group in _TOGETHER.items() if file.startswith(place)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Ours, in place of --dist."""
    return _Scheduling(config, log)
