"""One figure with its uncertainty."""

from dataclasses import dataclass

from case_monitor.domain.arrays import UNDEFINED


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One figure with its uncertainty. `class_idx` None means over all classes.

    `p_value` and `effect_size` belong to the test named in `test`; `p_adjusted` is Holm's over the methods, or
    Benjamini and Hochberg's over the classes. Without a test, `effect_size` is as docs/method.md says for the metric.
    `undefined_because` says why `n_undefined` images have no score.
    """

    metric: str
    method: str
    class_idx: int | None = None
    value: float
    n: int
    n_undefined: int = 0
    undefined_because: str | None = None
    ci_low: float = UNDEFINED
    ci_high: float = UNDEFINED
    sd: float = UNDEFINED
    p_value: float = UNDEFINED
    p_adjusted: float = UNDEFINED
    effect_size: float = UNDEFINED
    test: str | None = None
