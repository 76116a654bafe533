"""What two defects of the paper's published code would change: ties among pixels, and a transposed region.

On the networks of a study (`case-monitor study --preset small -d study`), at the layers of its Table I:

- **Ties.** The published code takes the highest 5% of all pixels, in whatever order the sort leaves equal ones; here
  only strictly positive pixels count, and a map without any has no agreement.
- **Transposed.** It takes (row, column) for (x, y), so that it replaces the mirrored region.

`python -m benchmarks.reference_defects study --markdown`
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from case_monitor.domain.methods import method_title
from case_monitor.domain.top_pixels import is_degenerate, top_pixels
from case_monitor.judging.statistics.hypothesis_tests import wilcoxon_test
from case_monitor.networks.small import SMALL_DATA, prepared
from case_monitor.saliency import saliency_maps
from case_monitor.settings.study import StudySettings, read_study
from case_monitor.steps.study_directory import STUDIED

METHODS = ("case", "gradcam", "gradcam++", "layercam", "ablationcam")
_TOP, _ABLATED, _ALPHA = 0.05, 0.5, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Defects:
    """A method on a model, by our definitions and by those of the published code.

    Attributes:
        agreement: medians of both.
        p: of both, of the Wilcoxon test against 50%.
        without: images with a map that has no positive pixel, which have no agreement here.
        drop: mean fall of the probability when the top half is replaced, of the right and of the mirrored region.
    """

    model: str
    method: str
    n: int
    without: int
    agreement: tuple[float, float]
    p: tuple[float, float]
    drop: tuple[float, float]

    @property
    def decides_otherwise(self) -> bool:
        """Whether the test rejects by one definition only."""
        return (self.p[0] < _ALPHA) != (self.p[1] < _ALPHA)


def reference_top(saliency_map: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """(H, W) -> the highest 5% as the published code has them: all pixels take part, equal ones by their place.

    Example:
        >>> reference_top(np.zeros((10, 10), np.float32)).sum()
        np.int64(5)
    """
    count = int(_TOP * saliency_map.size)
    mask = np.zeros(saliency_map.size, dtype=np.bool_)
    mask[np.argsort(-saliency_map.ravel(), kind="stable")[:count]] = True
    return mask.reshape(saliency_map.shape)


def agreement(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """As docs/method.md defines it; NaN where a map is degenerate."""
    if is_degenerate(first) or is_degenerate(second):
        return float("nan")
    a, b = (top_pixels(m, _TOP) for m in (first, second))
    return float((a & b).sum() / min(a.sum(), b.sum()))


def reference_agreement(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """As the published code has it: two empty maps agree wholly."""
    a, b = reference_top(first), reference_top(second)
    return float((a & b).sum() / a.sum())


def defects_of(directory: Path, images: int) -> Iterator[Defects]:
    """Of the first seed of every small network of a study."""
    study = read_study(directory / STUDIED)
    mlflow.set_tracking_uri(f"sqlite:///{directory.absolute()}/mlflow.db")
    for name, studied in study.models.items():
        if studied.small:
            yield from _of_model(name, study, images)


def _of_model(name: str, study: StudySettings, images: int) -> Iterator[Defects]:
    studied = study.models[name]
    data = SMALL_DATA[str(studied.data)]()
    model: nn.Module = mlflow.pytorch.load_model(f"models:/{name}/1").eval()  # trained by this code
    pictures = prepared(data.images, data.preprocessing)[:images]
    with torch.no_grad():
        logits = model(pictures)
    right = logits.argmax(1) == torch.from_numpy(data.labels[:images])
    pictures, logits = pictures[right], logits[right]
    classes = logits.topk(2).indices
    counted = _confusion(model, prepared(data.images, data.preprocessing), data.labels, len(data.class_names))
    maps = saliency_maps(
        model,
        pictures,
        classes,
        target_layer=studied.explained[0],
        methods=METHODS,
        contrast_sets=counted,
        size="input",
    )
    for method in METHODS:
        yield _compare(name, method, model, pictures, logits, maps[method].numpy())


def _confusion(
    model: nn.Module, pictures: Tensor, labels: npt.NDArray[np.int64], num_classes: int
) -> dict[int, dict[int, float]]:
    """V(u): the three classes that images of u are taken for most, then those of the highest mean probability."""
    with torch.no_grad():
        probabilities = model(pictures).softmax(1).double().numpy()
    sets = {}
    for u in range(num_classes):
        of_class = probabilities[labels == u]
        counts = np.bincount(of_class.argmax(1), minlength=num_classes) + of_class.mean(0)
        counts[u] = -1
        sets[u] = {int(v): float(counts[v]) for v in np.argsort(-counts)[:3]}
    return sets


def _compare(
    name: str, method: str, model: nn.Module, pictures: Tensor, logits: Tensor, maps: npt.NDArray[np.float32]
) -> Defects:
    ours = np.array([agreement(a, b) for a, b in maps])
    theirs = np.array([reference_agreement(a, b) for a, b in maps])
    regions = np.stack([top_pixels(a, _ABLATED) for a, _ in maps])
    known = np.isfinite(ours)
    drops = tuple(_drop(model, pictures, logits, mask)[known].mean() for mask in (regions, regions.transpose(0, 2, 1)))
    return Defects(
        model=name,
        method=method,
        n=int(known.sum()),
        without=int((~known).sum()),
        agreement=(float(np.median(ours[known])), float(np.median(theirs))),
        p=(wilcoxon_test(ours[known], 0.5).p_value, wilcoxon_test(theirs, 0.5).p_value),
        drop=(float(drops[0]), float(drops[1])),
    )


def _drop(model: nn.Module, pictures: Tensor, logits: Tensor, region: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n,) p(x) - p(x without the region), of the predicted class; 0 is the mean colour."""
    predicted = logits.argmax(1, keepdim=True)
    masked = torch.where(torch.from_numpy(region)[:, None], torch.zeros(()), pictures)
    with torch.no_grad():
        before, after = (out.softmax(1).gather(1, predicted)[:, 0] for out in (logits, model(masked)))
    return (before - after).double().numpy()


def markdown(rows: list[Defects]) -> str:
    lines = [
        "| model | method | n | median agreement, here | published code | p, here | published code | fall without the "
        "top half, right region | mirrored |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        a, p, drop = row.agreement, row.p, row.drop
        mark = " **other decision**" if row.decides_otherwise else ""
        lines.append(
            f"| {row.model} | {method_title(row.method)} | {row.n} ({row.without} without) | {a[0]:.0%} | {a[1]:.0%} | "
            f"{p[0]:.2g} | {p[1]:.2g}{mark} | {drop[0]:.3f} | {drop[1]:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the study's directory")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    rows = list(defects_of(given.study, given.images))
    if given.markdown:
        print(markdown(rows))
    changed = sum(row.decides_otherwise for row in rows)
    print(f"\n{changed} of {len(rows)} decisions change with the ties; networks and methods as above.")


if __name__ == "__main__":
    main()
