"""The arrays that figures are made of, and what stands where there is no figure."""

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


IntArray = npt.NDArray[np.int64]


BoolArray = npt.NDArray[np.bool_]


UNDEFINED = float("nan")


def defined(value: float) -> float | None:
    """None for what is undefined: where records become JSON, or texts for people.

    >>> defined(0.5), defined(UNDEFINED)
    (0.5, None)
    """
    return value if math.isfinite(value) else None
