"""What the measuring process answers, seen to be what was asked for: kind, shape, range and count.

What it says of the images is believed: it is who reads them. What is no answer at all never reaches a figure.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from case_monitor.domain.arrays import BoolArray, FloatArray, IntArray
from case_monitor.domain.diagnostics import SCORES
from case_monitor.domain.errors import EngineError
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import MARGINS, SampleScores
from case_monitor.domain.split import Split

T = TypeVar("T")


def of_kind(kind: type[T], came: Any) -> T:
    """What came, if it is of that kind."""
    require(type(came) is kind, f"{kind.__name__} was expected, {type(came).__name__} came")
    return came  # type: ignore[no-any-return] # it was just seen


def require(condition: bool, expected: str) -> None:
    """Raise an error unless the condition holds."""
    if not condition:
        raise EngineError(f"the process that measures answered what is no answer: {expected}")


def classes(came: Any, split: Split) -> IntArray:
    """(N,) of the split."""
    _array(came, "int64", (split.size,), "classes")
    require(bool(((came >= 0) & (came < split.num_classes)).all()), f"classes in 0..{split.num_classes - 1}")
    return np.asarray(came)


def excluded_classes(came: Any, target: IntArray, split: Split) -> BoolArray | None:
    """(N, num_classes) of the split, where images are of several classes: never the class that one is asked about."""
    if came is None:
        return None
    _array(came, "uint8", (split.size, split.num_classes), "excluded classes")
    excluded: BoolArray = came != 0
    require(not excluded[np.arange(split.size), target].any(), "excluded classes beside an image's own")
    require(bool((excluded.sum(1) < split.num_classes - 1).all()), "a class that an image is not of")
    return excluded


def part(came: object) -> PredictedPart:
    """Logits of some images, with as many counts."""
    found = of_kind(PredictedPart, came)
    _array(found.logits, "float32", (None, None), "logits")
    _array(found.active_channels, "int64", (len(found.logits),), "active channels")
    return found


def explained(came: object, sample: Sample) -> tuple[SampleScores, Gallery]:
    """Scores of this very sample, and a gallery."""
    found = of_kind(tuple, came)
    require(len(found) == 2, "scores and a gallery were expected")
    scores, gallery = of_kind(SampleScores, found[0]), of_kind(Gallery, found[1])
    n, preds = len(sample.indices), sample.preds
    require(scores.sample_ids == preds.sample_ids, "scores of the sample were expected, those of others came")
    for name, ours, theirs in (("target", preds.target, scores.target), ("top2", sample.top2, scores.top2)):
        _array(theirs, "int64", (n,), name)
        require(bool((ours == theirs).all()), f"{name} of the sample was expected, another one came")
    _array(scores.confidence, "float64", (n,), "confidence")
    diagnosed = {key: values for key, values in scores.values.items() if key[1] in SCORES}
    rest = {key: values for key, values in scores.values.items() if key[1] not in MARGINS | set(SCORES)}
    for (method, name), values in diagnosed.items():
        _array(values, "float64", (n,), f"{method} {name}")
        require(SCORES[name].allows(values), f"{SCORES[name].range_in_words} was expected")
    scored({" ".join(key): values for key, values in rest.items()}, n)
    _margins({" ".join(key): values for key, values in scores.values.items() if key[1] in MARGINS}, n)
    if n:  # None is read as none broken
        _array(scores.broken_passes, "int64", (n,), "broken passes")
    for u, pixels in scores.places.items():
        require(u in preds.target, "places of the sample's classes were expected")
        _array(pixels, "int64", (None,), "places")
        require(bool((pixels >= 0).all()), "places of 0 or more were expected")
    return scores, gallery


def scored(values: Mapping[str, Any], n: int) -> None:
    """Scores in [-1, 1], or NaN, of n images each."""
    for name, array in values.items():
        _array(array, "float64", (n,), name)
        require(not (np.abs(array) > 1).any(), f"{name} in [-1, 1] was expected")


def _margins(values: Mapping[str, Any], n: int) -> None:
    """Differences of logits of n images each, or NaN."""
    for name, array in values.items():
        _array(array, "float64", (n,), name)
        require(not np.isinf(array).any(), f"{name} as a finite number or NaN was expected")


def agreement(came: object, methods: Iterable[str], n: int) -> dict[str, FloatArray]:
    """Of these methods, of n images each."""
    found = of_kind(dict, came)
    require(set(found) == set(methods), "agreement of every method was expected")
    scored(found, n)
    return found


def _array(came: Any, dtype: str, shape: tuple[int | None, ...], name: str) -> None:
    fits = isinstance(came, np.ndarray) and came.dtype == dtype and came.ndim == len(shape)
    fits = fits and all(want in {None, have} for want, have in zip(shape, came.shape, strict=True))
    require(fits, f"{name} of {shape} as {dtype} was expected")
