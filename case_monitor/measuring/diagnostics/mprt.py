"""Do maps depend on what the model has learned? They are compared with those under shuffled weights.

Adebayo et al. 2018, arXiv 1810.03292 (cascading randomisation); Hedström et al. 2023, arXiv 2401.06465 (efficient).
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor

from case_monitor.measuring.diagnostics.shuffled_weights import STAGES
from case_monitor.measuring.diagnostics.subject import Subject
from case_monitor.measuring.top_pixels import is_degenerate
from case_monitor.saliency import resize_maps

BINS = 100
"""Of the histogram whose entropy is taken."""

Values = npt.NDArray[np.float64]


def mprt(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Spearman's correlation of the map with those under more and more shuffled weights, mean over the stages.

    A stage in which a map is constant says nothing of it; without a stage in which it is not there is no number. All
    images are explained under the same shuffled weights: the mean over images is of one draw of them.
    """
    stages: dict[str, list[Values]] = defaultdict(list)
    for stage in range(1, STAGES + 1):
        for method, maps in subject.under_shuffled(stage).items():
            like = spearman(_flat(subject.small[method]), _flat(maps))
            stages[method].append(np.where(np.isfinite(_flat(maps)).all(1), like, np.inf))
    return {(method, "mprt_similarity"): _of_defined(stages[method], subject) for method in subject.small}


def emprt(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """By which part the entropy of the map's values is higher once all weights are shuffled; none of a constant map."""
    found = {}
    for method in subject.small:
        rise = np.full(len(subject.images), np.nan)
        if method in (maps := subject.under_shuffled(STAGES)):
            after = resize_maps(maps[method].unsqueeze(1), subject.images.shape[-2:])[:, 0]
            before, then = (np.array([entropy(m) for m in _flat(of)]) for of in (subject.maps[method], after))
            rise = (then - before) / np.where(before > 0, before, np.nan)
            rise[is_degenerate(after).cpu().numpy()] = np.nan
        found[method, "emprt_rise"] = torch.from_numpy(rise)
    return found


def spearman(first: Values, second: Values) -> Values:
    """(B,) rank correlation of rows (B, N); NaN where a row is constant or not finite.

    Example:
        >>> spearman(np.array([[1., 2., 3.]]), np.array([[10., 30., 20.]])).round(6).tolist()
        [0.5]
    """
    ranked = [rankdata(of, axis=1) - (of.shape[1] + 1) / 2 for of in (first, second)]
    sizes = [np.sqrt((of**2).sum(1)) for of in ranked]
    usable = np.isfinite(first).all(1) & np.isfinite(second).all(1) & (sizes[0] > 0) & (sizes[1] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (ranked[0] * ranked[1]).sum(1) / (sizes[0] * sizes[1])
    return np.where(usable, found.clip(-1, 1), np.nan)


def entropy(values: Values) -> float:
    """Of the histogram of the values (N,), in nats; NaN where one is not finite.

    Example:
        >>> round(entropy(np.array([0., 0., 1., 1.])), 6)
        0.693147
    """
    if not np.isfinite(values).all():
        return float("nan")
    counts = np.histogram(values, bins=BINS)[0]
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _flat(maps: Tensor) -> Values:
    return maps.double().flatten(1).cpu().numpy()


def _of_defined(stages: list[Values], subject: Subject) -> Tensor:
    """(B,) the mean of the stages in which there was a map; NaN where there was none, infinite where one is broken."""
    values = np.stack(stages) if stages else np.full((1, len(subject.images)), np.nan)
    defined = ~np.isnan(values)
    count = defined.sum(0)
    total = np.where(defined, values, 0).sum(0)
    return torch.from_numpy(np.where(count > 0, total / np.maximum(count, 1), np.nan))
