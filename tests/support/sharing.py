"""How several processes share the tests (`pytest -n 2`): what stays together, and what begins first."""

from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.support.selection import is_pure

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
_LONG = (_STACK, _BROWSER, _PAGES)


class _Scheduling(LoadScopeScheduling):
    """Those of a file stay together, and those that share what is slow.

    One process begins with the longest group, another with the pure tests, which tell soonest what is wrong; long
    groups follow, and short ones at the end keep either from waiting for the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for place, group in _TOGETHER.items() if file.startswith(place)), file)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not any(self.assigned_work.values()):
            for scope in reversed(_in_turn(self.workqueue)):
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


def _in_turn(scopes: Iterable[str]) -> list[str]:
    """The longest group, the pure files, the long groups, the rest."""

    def turn(scope: str) -> int:
        if scope == _DEMO:
            return 0
        if scope in _LONG:
            return 2 + _LONG.index(scope)
        return 1 if is_pure(scope) else 2 + len(_LONG)

    return sorted(scopes, key=turn)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Ours, in place of --dist."""
    return _Scheduling(config, log)
