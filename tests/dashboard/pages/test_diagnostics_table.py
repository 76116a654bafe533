"""What the evaluation's page has of diagnostics."""

import math
from typing import Any

from case_monitor.dashboard.pages.evaluation.diagnostics_table import diagnostics_table
from case_monitor.domain.summary import MetricSummary


def figure(metric: str, method: str, value: float, **more: Any) -> MetricSummary:
    return MetricSummary(metric=metric, method=method, value=value, n=30, **more)


def test_without_diagnostics_there_is_no_table() -> None:
    assert diagnostics_table([figure("agreement_median", "case", 0.2)], ["case"]) == ()


def test_each_method_beside_random_maps() -> None:
    found = [
        figure("infidelity", "case", 0.004, n_undefined=2),
        figure("infidelity", "gradcam", 0.003),
        figure("infidelity", "random", 0.005),
        figure("infidelity_vs_random", "case", -0.001, p_adjusted=0.25),
        figure("max_sensitivity", "case", math.nan),
        figure("max_sensitivity", "gradcam", 0.5),
    ]
    infidelity, sensitivity = diagnostics_table(found, ["case", "gradcam", "layercam"])
    assert (infidelity.title, infidelity.direction, infidelity.digits) == ("Infidelity", "lower is better", 5)
    assert [cell.best for cell in infidelity.cells] == [False, True, False]
    assert [cell.without for cell in infidelity.cells] == [2, 0, 0]
    assert [cell.p_random for cell in infidelity.cells] == [0.25, None, None]
    assert infidelity.cells[2].figure is None
    assert infidelity.control is not None
    assert infidelity.control.value == 0.005
    assert (sensitivity.control, sensitivity.digits) == (None, 3)
    assert sensitivity.cells[0].figure is not None
    assert sensitivity.cells[0].figure.value is None
    assert [cell.best for cell in sensitivity.cells] == [False, True, False]
