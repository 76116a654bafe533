"""How several processes share the tests (`pytest -n 3`): what stays together, and what begins first."""

from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.support.selection import is_pure

_FORKED, _STACK, _BROWSER, _PAGES = "forked", "stack", "browser", "pages"
_TOGETHER = {
    "tests/faults/": _FORKED,
    "tests/integration/browser/": _BROWSER,
    "tests/integration/test_bed.py": _FORKED,
    "tests/integration/test_foreign_flows.py": _FORKED,
    "tests/integration/test_hostile_gate.py": _FORKED,
    "tests/integration/test_serve.py": _FORKED,
    "tests/integration/test_stack.py": _STACK,
    "tests/integration/test_trigger.py": _STACK,
    "tests/integration/test_unfinished.py": _FORKED,
    "tests/cli/test_standard_output.py": _FORKED,
    "tests/cli/test_supervision.py": _FORKED,
    "docs/": _PAGES,
    "README.md": _PAGES,
}
_EACH_ALONE = "tests/faults/test_faults.py::test_many"  # minutes each, in the long form only
# The longest first, as measured: who begins a long one last keeps the other waiting.
_LONG = (
    _STACK,
    _BROWSER,
    _PAGES,
    "tests/integration/test_override.py",
    "tests/integration/test_cli.py",
    "tests/zoo/",
    "tests/integration/test_servers.py",
    "tests/integration/test_canaries.py",
    "tests/integration/test_nightly.py",
    "tests/logs/test_logs.py",
    "tests/integration/test_lost_alias.py",
    "tests/integration/test_what_is_promoted.py",
    "tests/integration/test_ray.py",
    "tests/integration/",
    "tests/cli/test_light_commands.py",
)


class _Scheduling(LoadScopeScheduling):
    """Those of a file stay together, and those that share what is slow.

    One process begins with what needs the demo, which it makes for both; the other with the pure tests, which tell
    soonest what is wrong. Long groups follow, and short ones at the end keep either from waiting for the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if nodeid.startswith(_EACH_ALONE):
            return nodeid
        return next((group for place, group in _TOGETHER.items() if file.startswith(place)), file)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not any(self.assigned_work.values()):
            for scope in reversed(_in_turn(self.workqueue)):
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


def _in_turn(scopes: Iterable[str]) -> list[str]:
    """The group that makes the demo, the pure files, the long ones, the rest."""

    def turn(scope: str) -> int:
        if scope == _FORKED:
            return 0
        place = next((i for i, long in enumerate(_LONG) if scope.startswith(long)), None)
        if place is not None:
            return 2 + place
        return 1 if is_pure(scope) else 2 + len(_LONG)

    return sorted(scopes, key=turn)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Ours, in place of --dist."""
    return _Scheduling(config, log)
