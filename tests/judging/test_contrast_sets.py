"""Contrast sets against a slow reference and by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.contrast_sets import ContrastSets, ContrastSource
from case_monitor.judging.contrast_sets import contrast_sets, few_were_confused
from tests.support.profiles import examples


def confmat(counts: list[list[int]], soft: list[list[float]]) -> ConfusionMatrix:
    return ConfusionMatrix(counts=np.array(counts), soft=np.array(soft))


@st.composite
def confusions(draw: st.DrawFn) -> ConfusionMatrix:
    c = draw(st.integers(2, 6))
    counts = np.array(draw(st.lists(st.lists(st.integers(0, 2), min_size=c, max_size=c), min_size=c, max_size=c)))
    soft = np.array(
        draw(st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.2]), min_size=c, max_size=c), min_size=c, max_size=c))
    )
    soft[counts.sum(1) == 0] = np.nan
    return ConfusionMatrix(counts=counts, soft=soft)


def slow_members(m: ConfusionMatrix, u: int, k: int, observed_only: bool, threshold: float = 0.0) -> list[int]:
    if m.counts[u].sum() == 0:
        return []
    others = [v for v in range(len(m.counts)) if v != u and (m.counts[u, v] > 0 or not observed_only)]
    return [
        v for v in sorted(others, key=lambda v: (-m.counts[u, v], -m.soft[u, v], v))[:k] if m.soft[u, v] >= threshold
    ]


def classes(sets: ContrastSets, u: int) -> list[int]:
    return [member.class_idx for member in sets.members[u]]


@examples(200)
@given(m=confusions(), k=st.integers(0, 8), observed_only=st.booleans(), threshold=st.sampled_from([0, 0.1, 0.15]))
def test_contrast_sets_equal_a_slow_reference(
    m: ConfusionMatrix, k: int, observed_only: bool, threshold: float
) -> None:
    sets = contrast_sets(m, k, observed_only=observed_only, threshold=threshold)
    assert set(sets.unseen) == {u for u in range(len(m.counts)) if not m.counts[u].any()}
    for u, members in enumerate(sets.members):
        assert classes(sets, u) == slow_members(m, u, k, observed_only, threshold)
        assert u not in classes(sets, u)
        assert [v.rank for v in members] == sorted({v.rank for v in members})
        for v in members:
            assert v.target_class == u
            assert v.count == m.counts[u, v.class_idx]
            assert v.weight == m.soft[u, v.class_idx]
            assert (v.source is ContrastSource.OBSERVED) == (v.count > 0)


def test_ties_are_broken_by_soft_confusion_then_by_index() -> None:
    m = confmat([[9, 2, 2, 3, 2]] + [[1] * 5] * 4, [[0.5, 0.1, 0.2, 0.05, 0.1]] + [[0.2] * 5] * 4)
    assert classes(contrast_sets(m, 4), 0) == [3, 2, 1, 4]


def test_the_rest_is_filled_by_soft_confusion_never_by_the_class_itself() -> None:
    """Class 0 is only confused with 2; its own probability is the largest, and must not fill its set (defect 3)."""
    m = confmat([[9, 0, 1, 0]] + [[1] * 4] * 3, [[0.9, 0.01, 0.02, 0.07]] + [[0.25] * 4] * 3)
    sets = contrast_sets(m, 3)
    assert classes(sets, 0) == [2, 3, 1]
    assert [v.source.value for v in sets.members[0]] == ["observed", "soft", "soft"]
    assert classes(contrast_sets(m, 3, observed_only=True), 0) == [2]


def test_rows_are_the_true_class() -> None:
    m = confmat([[5, 3, 0], [0, 5, 3], [3, 0, 5]], [[1 / 3] * 3] * 3)
    assert [classes(contrast_sets(m, 1), u) for u in range(3)] == [[1], [2], [0]]


def test_weights_are_counts_plus_soft_confusion_and_leave_out_unseen_classes_only() -> None:
    m = confmat([[5, 2, 0], [0, 4, 0], [0, 0, 0]], [[0.6, 0.3, 0.1], [0.05, 0.9, 0.05], [np.nan] * 3])
    assert contrast_sets(m, 2).weights() == {0: {1: 2.3, 2: 0.1}, 1: {0: 0.05, 2: 0.05}}
    assert contrast_sets(m, 2, observed_only=True).weights() == {0: {1: 2.3}, 1: {}}


def test_sets_that_probabilities_fill_are_said() -> None:
    """Of six members, four were never predicted; of one class of errors alone, none is."""
    m = confmat([[9, 1, 0], [0, 9, 1], [0, 0, 9]], [[0.9, 0.06, 0.04], [0.04, 0.9, 0.06], [0.05, 0.05, 0.9]])
    assert list(few_were_confused(contrast_sets(m, 2))) == [
        "4 of the 6 members of the contrast sets were never predicted for their class, and are there for the "
        "probabilities that they were given: 2 errors are too few to tell what CASE should contrast a class with."
    ]
    one = ["1 of 3 contrast sets are empty: of these classes, CASE's maps are Grad-CAM's."]
    assert list(few_were_confused(contrast_sets(m, 2, observed_only=True))) == one
    assert list(few_were_confused(contrast_sets(m, 2, threshold=0.055))) == one
    assert next(few_were_confused(contrast_sets(m, 2, threshold=0.5))).startswith("3 of 3 contrast sets are empty")
    assert list(few_were_confused(contrast_sets(m, 0))) == []
