"""Class indices of a whole split as a few kilobytes."""

import zlib

import numpy as np

from case_monitor.domain.arrays import IntArray

_STORED = np.dtype("<i4")


def pack(classes: IntArray) -> bytes:
    """(N,) class indices as compressed little-endian int32."""
    return zlib.compress(classes.astype(_STORED).tobytes())


def unpack(packed: bytes) -> IntArray:
    """What was packed, (N,).

    Example:
        >>> unpack(pack(np.array([3, -1, 2**31 - 1]))).tolist()
        [3, -1, 2147483647]
    """
    return np.frombuffer(zlib.decompress(packed), dtype=_STORED).astype(np.int64)
