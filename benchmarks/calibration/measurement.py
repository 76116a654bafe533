"""What is measured on a network once, so that verdicts of any of the images can be drawn from it."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.predictions import Predictions

_SCORE = "score "


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """A network on a pool of images; scores are of the images that it gets right, in the pool's order.

    Attributes:
        shown: the method that people are shown.
        target: (N,) true classes.
        logits, again: (N, C) what it answers, and what it answers when it is asked again in pairs.
        top2: (n,) second classes.
        confidence: (n,) of the first.
        broken: (n,) passes that gave no number.
        places: (n, ...) where the model looks.
        values: (method, metric) -> (n,).
    """

    shown: str
    target: IntArray
    logits: npt.NDArray[np.float32]
    again: npt.NDArray[np.float32]
    top2: IntArray
    confidence: FloatArray
    broken: IntArray
    places: npt.NDArray[np.uint8]
    values: dict[tuple[str, str], FloatArray]

    @property
    def preds(self) -> Predictions:
        ids = tuple(f"image-{i:05d}" for i in range(len(self.target)))
        return Predictions(sample_ids=ids, logits=self.logits, target=self.target)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether it gets an image right, and scores are of it."""
        return np.asarray(self.preds.preds == self.target)

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    def save(self, file: Path) -> None:
        """Whole, or not at all."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"shown", "values"}}
        scores = {f"{_SCORE}{method}/{metric}": v for (method, metric), v in self.values.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            np.savez_compressed(stream, shown=np.array(self.shown), **arrays, **scores)
        os.replace(unfinished, file)

    @classmethod
    def load(cls, file: Path) -> "Measurement":
        with np.load(file) as found:
            arrays: dict[str, Any] = {name: found[name] for name in found.files}
        scores = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_SCORE)}
        keys = {name: tuple(name.removeprefix(_SCORE).split("/")) for name in scores}
        shown = str(arrays.pop("shown"))
        return cls(shown=shown, values={(keys[n][0], keys[n][1]): v for n, v in scores.items()}, **arrays)

    def less_accurate(self, accuracy: float) -> "Measurement":
        """With wrong answers mixed in, until it is exactly as accurate as that."""
        right = np.flatnonzero(self.right)
        too_many = max(0, len(right) - round(accuracy * len(self.target)))
        spoilt = np.random.default_rng(0).choice(right, too_many, replace=False)
        answers = []
        for logits in (self.logits, self.again):
            wrong = logits.copy()
            wrong[spoilt, self.target[spoilt]] = logits[spoilt].min(axis=1) - 1
            answers.append(wrong)
        kept = ~np.isin(right, spoilt)
        return replace(
            self,
            logits=answers[0],
            again=answers[1],
            top2=self.top2[kept],
            confidence=self.confidence[kept],
            broken=self.broken[kept],
            places=self.places[kept],
            values={key: scores[kept] for key, scores in self.values.items()},
        )
