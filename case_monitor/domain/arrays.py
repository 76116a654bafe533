"""The arrays that figures are made of, and what stands where there is no figure."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


IntArray = npt.NDArray[np.int64]


UNDEFINED = float("nan")
