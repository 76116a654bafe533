"""Which tests run, and in which order: markers by what a test uses and by where it stands, `--db`, pure tests first."""

from collections.abc import Iterable
from pathlib import Path

import pytest

MARKERS = {
    "slow": "takes seconds: real networks, references, processes",
    "server": "needs PostgreSQL, MLflow over HTTP or Prefect",
    "browser": "needs a browser",
}
_OF_FIXTURES = {
    "postgres_server": "server",
    "mlflow_server": "server",
    "prefect_server": "server",
    "browser": "browser",
}
# The first place that a test's name begins with counts.
_OF_PLACES = {
    "tests/integration/browser/": "browser",
    "tests/integration/": "server",
    "README.md": "server",
    "docs/": "server",
}
_FIRST = ("case_monitor/", "tests/domain/", "tests/judging/", "tests/alerts/", "tests/settings/", "tests/dataset/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--db sqlite` leaves out what needs PostgreSQL."""
    parser.addoption("--db", choices=["sqlite", "both"], default="both", help="results databases (default: both)")


def pytest_configure(config: pytest.Config) -> None:
    """With --strict-markers, what is not registered is an error."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What `-m "not (slow or ...)"` leaves out as a whole is not even imported."""
    place = str(collection_path.relative_to(config.rootpath))
    expression = config.getoption("markexpr")
    marker = _OF_PLACES.get(place, _marker_of_place(place + "/" if collection_path.is_dir() else place))
    return True if marker and expression.startswith("not (") and marker in expression else None


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark, leave out, sort."""
    for item in items:
        for marker in _markers(item):
            item.add_marker(marker)
    if config.getoption("db") == "sqlite":
        left_out = [item for item in items if _needs_postgres(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=_turn)


def _markers(item: pytest.Item) -> Iterable[str]:
    of_place = _marker_of_place(item.nodeid)
    of_fixtures = {_OF_FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in _OF_FIXTURES}
    return of_fixtures | ({of_place} if of_place else set()) | ({"server"} if _needs_postgres(item) else set())


def _marker_of_place(nodeid: str) -> str | None:
    return next((marker for place, marker in _OF_PLACES.items() if nodeid.startswith(place)), None)


def _needs_postgres(item: pytest.Item) -> bool:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return parameters.get("database_url") == "postgresql" or "postgres_server" in getattr(item, "fixturenames", ())


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Pure tests, then those that take long, then servers, browsers and documents; files stay together."""
    file = item.nodeid.partition("::")[0]
    kinds = (None, *MARKERS)
    place = next((i for i, first in enumerate(_FIRST) if file.startswith(first)), len(_FIRST))
    return kinds.index(_marker_of_place(file)) + file.endswith(".md"), place
