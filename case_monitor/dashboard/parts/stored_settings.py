"""What a stored policy and protocol say that pages need, whichever package wrote them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from case_monitor.domain.metrics import named
from case_monitor.domain.policy import GATE_METHOD
from case_monitor.domain.protocol import TOP_FRACTION, drop_suffix
from case_monitor.store.read.evaluation_list import EvaluationSettings


def drop_suffixes(stored: EvaluationSettings) -> tuple[str, ...]:
    """How metrics name each area and fill of the fidelity test, as `Protocol.suffixes`."""
    areas, fills = stored.protocol.get("areas", ()), stored.protocol.get("fills", ("mean",))
    return tuple(drop_suffix(area, fill) for area in areas for fill in fills)


def diagnostics_of(stored: EvaluationSettings) -> tuple[str, ...]:
    """The diagnostics that were measured."""
    return tuple(stored.protocol.get("diagnostics", ()))


def gate_suffix(stored: EvaluationSettings) -> str | None:
    """Area and fill of the first rule on fidelity; without one the first that was measured, if any was."""
    known, fills = drop_suffixes(stored), stored.protocol.get("fills", ("mean",))
    top = drop_suffix(TOP_FRACTION, next(iter(fills), "mean"))
    judged = (named(entry["metric"]) for entry in _thresholds(stored.policy))
    suffixes = (top if found.metric.at_top else found.suffix for found in judged if found)
    return next((suffix for suffix in suffixes if suffix in known), known[0] if known else None)


def gate_limits(stored: EvaluationSettings) -> dict[str, float]:
    """Metric -> limit, of the rules about all classes: on the gate method's figures, or on the model's own."""
    return {
        entry["metric"]: float(entry["limit"])
        for entry in _thresholds(stored.policy)
        if entry.get("limit") is not None
        and math.isfinite(float(entry["limit"]))
        and not entry.get("per_class")
        and entry.get("method") in {None, GATE_METHOD, stored.gate_method}
    }


def confidence_level(stored: EvaluationSettings) -> float | None:
    """Of every interval."""
    level = stored.policy.get("confidence_level")
    return None if level is None else float(level)


def _thresholds(policy: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from policy.get("thresholds", ())
