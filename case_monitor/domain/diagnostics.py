"""The catalogue of diagnostics: published tests of maps, which are measured where the protocol names them.

A diagnostic is the rows of its scores here, and its function in `measuring.diagnostics`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.metric import Metric, Unit

RANDOM_MAP = "random"
"""The method of what is measured with random maps."""
VS_RANDOM = "_vs_random"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A diagnostic's number of an image, whose mean over images is a figure of the same name.

    Attributes:
        diagnostic: the name that the protocol has.
        name: of score and figure.
        title: as its authors write it.
        words: in sentences.
        greater_is_better: its direction.
        unit: what it is a number of.
        low, high: what it can be; None: no bound.
        with_random: random maps are measured, too, since the number means little without theirs.
        is_yes_or_no: 1 or 0 of an image, so that its mean is a rate.
        of_map_alone: there is one wherever the map points at something and the model gives numbers.
        by_rules: a rule may be about it; not where its interval leaves out a draw that all images share.
        needs_objects: it is about what people have marked in the image, and asks the model nothing.
    """

    diagnostic: str
    name: str
    title: str
    words: str
    greater_is_better: bool
    unit: Unit = Unit.RATIO
    low: float | None = 0
    high: float | None = 1
    with_random: bool = True
    is_yes_or_no: bool = False
    of_map_alone: bool = True
    by_rules: bool = True
    needs_objects: bool = False

    def allows(self, values: FloatArray) -> bool:
        """Whether each value (n,) is NaN, or can be one: rounding may take it past its bounds by a little."""
        low = -np.inf if self.low is None else self.low - _ROUNDING
        high = np.inf if self.high is None else self.high + _ROUNDING
        return not (np.isinf(values) | (values < low) | (values > high)).any()

    @property
    def range_in_words(self) -> str:
        """For messages."""
        low, high = ("any" if of is None else f"{of:g}" for of in (self.low, self.high))
        return f"{self.name} as finite numbers from {low} to {high}"

    @property
    def is_compared(self) -> bool:
        """Whether there is a figure of what it is beyond random maps."""
        return self.with_random and not self.is_yes_or_no

    @property
    def figures(self) -> tuple[Metric, ...]:
        """Its rows in the catalogue of metrics: the mean, and what it is beyond that of random maps."""
        # Where there is no bound, a limit further away would ask for nothing, or for the impossible.
        low, high = (-10 if self.low is None else self.low), (10 if self.high is None else self.high)
        mean = Metric(
            name=self.name,
            words=self.words,
            greater_is_better=self.greater_is_better,
            unit=self.unit,
            low=low,
            high=high,
            by_rules=self.by_rules,
            of_methods=True,
            diagnostic=self.diagnostic,
            axis=self.title,
        )
        if not self.is_compared:
            return (mean,)
        beyond = Metric(
            name=f"{self.name}{VS_RANDOM}",
            words=f"{self.words}, beyond that of random maps",
            greater_is_better=self.greater_is_better,
            unit=self.unit,
            low=low - high,
            high=high - low,
            of_methods=True,
            diagnostic=self.diagnostic,
        )
        return mean, beyond


_ROWS = (
    Score(
        diagnostic="deletion",
        name="deletion_auc",
        title="Deletion AUC",
        words="mean confidence while pixels are deleted, highest first",
        greater_is_better=False,
        unit=Unit.PROBABILITY,
    ),
    Score(
        diagnostic="insertion",
        name="insertion_auc",
        title="Insertion AUC",
        words="mean confidence while a blurred image gets its pixels back, highest first",
        greater_is_better=True,
        unit=Unit.PROBABILITY,
    ),
    Score(
        diagnostic="morf_lerf",
        name="morf_lerf",
        title="LeRF − MoRF",
        words="mean confidence while pixels are deleted, lowest first, less that of highest first",
        greater_is_better=True,
        unit=Unit.PROBABILITY,
        low=-1,
    ),
    Score(
        diagnostic="road",
        name="road",
        title="ROAD",
        words="half of what confidence is higher without the lowest pixels than without the highest, both imputed",
        greater_is_better=True,
        unit=Unit.PROBABILITY,
        low=-1,
    ),
    Score(
        diagnostic="average_drop",
        name="average_drop",
        title="Average drop",
        words="relative drop in confidence where the image is weighed by the map",
        greater_is_better=False,
        unit=Unit.SHARE,
    ),
    Score(
        diagnostic="average_drop",
        name="increase_in_confidence",
        title="Increase in confidence",
        words="share of images with more confidence where they are weighed by the map",
        greater_is_better=True,
        unit=Unit.SHARE,
        is_yes_or_no=True,
    ),
    Score(
        diagnostic="infidelity",
        name="infidelity",
        title="Infidelity",
        words="squared error of the drops in confidence that the map foretells for random squares",
        greater_is_better=False,
    ),
    Score(
        diagnostic="max_sensitivity",
        name="max_sensitivity",
        title="Max-sensitivity",
        words="largest relative change of the map close to the image",
        greater_is_better=False,
        high=None,
        with_random=False,
    ),
    Score(
        diagnostic="lowest_class",
        name="lowest_agreement",
        title="Lowest class",
        words="agreement of the map with that of the least likely class",
        greater_is_better=False,
        unit=Unit.SHARE,
        with_random=False,
        of_map_alone=False,
    ),
    Score(
        diagnostic="mprt",
        name="mprt_similarity",
        title="MPRT",
        words="rank correlation of the map with those of weights shuffled from the last layer on",
        greater_is_better=False,
        low=-1,
        with_random=False,
        by_rules=False,
        of_map_alone=False,
    ),
    Score(
        diagnostic="emprt",
        name="emprt_rise",
        title="Efficient MPRT",
        words="relative rise of the map's entropy once all weights are shuffled",
        greater_is_better=True,
        low=-1,
        high=None,
        with_random=False,
        by_rules=False,
        of_map_alone=False,
    ),
)
LOCALISATION = "localisation"
_OF_OBJECTS = (
    Score(
        diagnostic=LOCALISATION,
        name="pointing_game",
        title="Pointing game",
        words="share of images whose map is highest on the object",
        greater_is_better=True,
        unit=Unit.SHARE,
        is_yes_or_no=True,
        of_map_alone=False,
        needs_objects=True,
    ),
    Score(
        diagnostic=LOCALISATION,
        name="object_iou",
        title="IoU with the object",
        words="overlap of the object with as many of the highest pixels",
        greater_is_better=True,
        unit=Unit.SHARE,
        of_map_alone=False,
        needs_objects=True,
    ),
)

SCORES = {score.name: score for score in (*_ROWS, *_OF_OBJECTS)}
DIAGNOSTICS = tuple(dict.fromkeys(score.diagnostic for score in SCORES.values()))
"""Every name that a protocol may have."""


def scores_of(diagnostics: Collection[str]) -> tuple[Score, ...]:
    """The scores of some diagnostics, in the catalogue's order."""
    return tuple(score for score in SCORES.values() if score.diagnostic in diagnostics)


def score_names(diagnostics: Collection[str], methods: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Method and score of each that a model is asked about an image."""
    for score in scores_of(diagnostics):
        if score.needs_objects:
            continue
        for method in (*methods, *([RANDOM_MAP] if score.with_random else [])):
            yield method, score.name
