"""The cells of a study, as they are stored."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.errors import StoreError
from case_monitor.domain.protocol import OF_CONFUSION
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.connection import reading
from case_monitor.store.read.classes import all_classes
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluations import read_evaluation
from case_monitor.store.read.scores import load_scores
from case_monitor.store.read.summaries import load_some_summaries


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyCell:
    """A version, which is a seed, explained at one layer.

    Attributes:
        model: its name.
        title: of the model, for people.
        data: the data set's name.
        version: of the model.
        seed: which of its versions, from 1.
        layer: the target layer.
        place: of the layer among those that are asked for; 0 is the one of the paper's Table I.
        images, labels: digests of the data set's images, and of what they show.
        evaluation_id: in the results database.
        methods: in the protocol's order.
        gate_method: whose contrast people are shown.
        figures: (metric, method) -> the figure over all images.
        active: (C,) mean active channels of each class.
        scores: of the explained images.
        contrast: class -> the classes of its contrast set; without those that each image chooses for itself.
        status: of the policy's verdict.
        seconds: to measure all of it.
        isolation: how far the model was shut in.
        device, torch_version, package_version: with what it was measured.
    """

    model: str
    title: str
    data: str
    version: int
    seed: int
    layer: str
    place: int
    images: str | None
    labels: str | None
    evaluation_id: int
    methods: tuple[str, ...]
    gate_method: str
    figures: Mapping[tuple[str, str], MetricSummary]
    active: FloatArray
    scores: SampleScores
    contrast: Mapping[int, frozenset[int]]
    status: Status
    seconds: float
    isolation: str | None
    device: str
    torch_version: str
    package_version: str

    def figure(self, metric: str, method: str = "") -> MetricSummary | None:
        """A figure over all images; None where it was not measured."""
        return self.figures.get((metric, method))

    @property
    def drops(self) -> tuple[str, ...]:
        """Names of the falls in confidence, one for each area and fill, in the protocol's order."""
        named = (metric for metric, _ in self.figures if re.fullmatch(r"confidence_drop_[\d.]+(_blur)?", metric))
        return tuple(dict.fromkeys(named))

    def agreement(self, method: str) -> FloatArray:
        """(n,) of every explained image; NaN where a map is degenerate."""
        return self.scores.values[method, "agreement"]


def load_cell(engine: Engine, evaluation_id: int, *, title: str, data: str, place: int, seed: int) -> StudyCell:
    """Read one.

    Raises:
        StoreError: it is not there, or its scores were deleted.
    """
    found = read_evaluation(engine, evaluation_id)
    scores = load_scores(engine, evaluation_id)
    if found is None or scores is None:
        raise StoreError(f"evaluation {evaluation_id} of the study: explained images were expected, there are none")
    stored = found.evaluation
    with reading(engine) as connection:
        classes = all_classes(connection, evaluation_id)
    return StudyCell(
        model=stored.model_name,
        title=title,
        data=data,
        version=stored.version,
        seed=seed,
        layer=stored.target_layer,
        place=place,
        images=stored.images_digest,
        labels=stored.labels_digest,
        evaluation_id=evaluation_id,
        methods=_names(stored.protocol["methods"]),
        gate_method=str(stored.policy["gate_method"]),
        figures={(s.metric, s.method): s for s in load_some_summaries(engine, evaluation_id, ())},
        active=np.array([c.active_channels for c in classes], dtype=np.float64),
        scores=scores,
        contrast=_contrast(load_contrast_sets(engine, evaluation_id), stored.protocol),
        status=stored.verdict_status,
        seconds=stored.duration_s,
        isolation=stored.isolation,
        device=stored.device,
        torch_version=stored.torch_version,
        package_version=stored.package_version,
    )


def _contrast(sets: ContrastSets, protocol: Mapping[str, object]) -> dict[int, frozenset[int]]:
    if protocol.get("contrast", OF_CONFUSION) != OF_CONFUSION:
        return {}
    members = enumerate(sets.members)
    return {u: frozenset(m.class_idx for m in of) for u, of in members if u not in sets.unseen}


def _names(stored: object) -> tuple[str, ...]:
    return tuple(map(str, stored)) if isinstance(stored, list | tuple) else ()


def on_other_images(cells: Sequence[StudyCell]) -> tuple[StudyCell, ...]:
    """Cells that were measured before a data set was replaced: of other images than its last one.

    What images show is compared within a model: one that is judged by fewer classes than it has names others.
    """
    images = {cell.data: cell.images for cell in cells}
    labels = {cell.model: cell.labels for cell in cells}
    return tuple(cell for cell in cells if (cell.images, cell.labels) != (images[cell.data], labels[cell.model]))


def columns(cells: Sequence[StudyCell], data: str, *, further: bool = False) -> Iterator[tuple[StudyCell, ...]]:
    """The seeds of each model on a data set, at the layer of the paper's Table I or, each, at a `further` one."""
    found: dict[tuple[str, int], list[StudyCell]] = {}
    for cell in cells:
        if cell.data == data and (cell.place > 0) == further:
            found.setdefault((cell.model, cell.place), []).append(cell)
    return (tuple(sorted(seeds, key=lambda cell: cell.seed)) for seeds in found.values())


def data_sets(cells: Sequence[StudyCell]) -> tuple[str, ...]:
    """Names, in the order of the cells."""
    return tuple(dict.fromkeys(cell.data for cell in cells))


def methods_of(cells: Sequence[StudyCell]) -> tuple[str, ...]:
    """Of all cells."""
    return tuple(dict.fromkeys(method for cell in cells for method in cell.methods))
