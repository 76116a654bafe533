"""Each fault, as often as the options say; the table is printed at the end (`tests/support/fault_table.py`)."""

from collections.abc import Callable

import pytest

from tests.faults import database_faults, disk_faults, kills, mlflow_faults, prefect_faults, race_faults
from tests.faults.lab import Lab
from tests.faults.small_disks import can_mount
from tests.faults.trials import Fault, tried

FAULTS = (
    *kills.FAULTS,
    *race_faults.FAULTS,
    *mlflow_faults.FAULTS,
    *database_faults.FAULTS,
    *disk_faults.FAULTS,
    *prefect_faults.FAULTS,
)


def ids(fault: Fault) -> str:
    return fault.name


@pytest.fixture
def try_it(
    lab: Lab, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
) -> Callable[[Fault, int], None]:
    """Strikes so often, writes the row, and tells what broke."""

    def run(fault: Fault, trials: int) -> None:
        if fault.needs_root and not can_mount(lab.folder):
            pytest.skip("a small disk must be mounted, which nobody but root may")
        row = tried(lab, fault, trials, pytestconfig.getoption("fault_seed"))
        record_property("fault", row.as_json())
        assert not row.failures, "\n".join(row.failures)

    return run


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.short], ids=ids)
def test_few(fault: Fault, try_it: Callable[[Fault, int], None]) -> None:
    try_it(fault, fault.short)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=ids)
def test_many(fault: Fault, try_it: Callable[[Fault, int], None], pytestconfig: pytest.Config) -> None:
    try_it(fault, pytestconfig.getoption("fault_trials") or fault.long)
