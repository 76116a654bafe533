"""What the comparison of two versions says, as data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from case_monitor.dashboard.shell.paging import Pages
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status


class Outcome(StrEnum):
    """What an interval of a difference says."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareQuery:
    """What to compare; None: the newest version, and the one in production. `page` is of the table of all classes.

    Layers are of a version that is compared with itself.
    """

    model: str
    candidate: int | None = None
    baseline: int | None = None
    layer: str | None = None
    baseline_layer: str | None = None
    method: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two versions, as it was evaluated for this comparison; `title` has its layer where that matters."""

    version: int
    layer: str
    title: str
    evaluation_id: int
    verdict: Status
    evaluated_at: datetime
    split_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """Candidate minus baseline on the same images. `candidate` and `baseline` are of all images of each.

    `margin` is where the policy's allowed regression ends; None: no rule.
    """

    metric: str
    method: str
    candidate: float | None
    baseline: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    n: int
    greater_is_better: bool
    margin: float | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """A rule of the gate in words; of a rule per class `counts` says how many classes had which outcome."""

    rule: str
    severity: Severity
    status: Status | None
    reason: str
    counts: dict[Status, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """The recall of a class against the baseline's, on the same images."""

    class_idx: int
    name: str
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p_adjusted: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastChange:
    """A class that is confused with other classes than before; `before` None: the baseline's are not known."""

    class_idx: int
    name: str
    jaccard: float
    before: tuple[str, ...] | None
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What share of their top pixels a method's maps have in common with the baseline's."""

    method: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPair:
    """An image that is in both galleries, by its place in each; agreement of each version's own two maps."""

    sample_id: str
    class_name: str
    candidate_position: int
    baseline_position: int
    candidate_agreement: float | None
    baseline_agreement: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions of a model.

    Attributes:
        versions: all that can be chosen, the newest first.
        layers: at which the one version was evaluated that is compared with itself; else empty.
        measured: the candidate's evaluation made this comparison; False: it was computed from what is stored.
        comparable: both were evaluated on the same split under the same protocol, or measured together.
        missing: what cannot be compared and why.
        verdict, sentence: the gate's; None where it cannot be had.
        better, worse: the classes whose recall changed most.
        all_classes: a page of all classes, worst first; empty unless asked for.
        contrasts: up to `MOST` of the `contrasts_changed` classes.
        method: whose maps the pairs show.
    """

    chosen: CompareQuery
    model: str
    versions: tuple[int, ...]
    layers: tuple[str, ...]
    candidate: Side
    baseline: Side
    measured: bool
    comparable: bool
    missing: tuple[str, ...]
    verdict: Status | None
    sentence: str | None
    rules: tuple[RuleLine, ...]
    differences: tuple[DifferenceRow, ...]
    drift: tuple[Drift, ...]
    better: tuple[ClassChange, ...]
    worse: tuple[ClassChange, ...]
    classes_compared: int
    all_classes: tuple[ClassChange, ...]
    pages: Pages | None
    contrasts: tuple[ContrastChange, ...]
    contrasts_changed: int
    methods: tuple[str, ...]
    method: str | None
    maps: tuple[MapPair, ...]
