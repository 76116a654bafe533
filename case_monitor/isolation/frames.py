"""What goes over the wall: a JSON head and raw arrays, in a format that is no code.

A frame is the length of its head (u32), the head, and the arrays that the head lists, one after the other. What comes
from a model's process is checked before memory is taken for it.
"""

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_LENGTH = struct.Struct("<I")
_DTYPES = {name: np.dtype(name) for name in ("float32", "float64", "int64", "uint8")}
_MOST_ARRAYS, _MOST_DIMENSIONS = 4096, 6  # a method has two drops for each area and fill

Array = npt.NDArray[Any]


class FrameError(Exception):
    """What came is no frame, or one that is too large."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """A message."""

    head: Mapping[str, Any]
    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One end of a connection.

    Attributes:
        socket: connected.
        most_head: bytes of a head that comes.
        most_arrays: bytes of all the arrays of a frame that comes.
    """

    socket: socket.socket
    most_head: int = 1 << 20
    most_arrays: int = 1 << 31

    def send(
        self, head: Mapping[str, object], arrays: Mapping[str, Array] | None = None, deadline: float | None = None
    ) -> None:
        """Send a frame.

        Raises:
            TimeoutError: the other end did not take it all before the deadline, by the monotonic clock.
        """
        whole = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
        listed = [[name, array.dtype.name, list(array.shape)] for name, array in whole.items()]
        text = json.dumps({**head, "arrays": listed}).encode()
        self._wait_until(deadline)
        self.socket.sendall(_LENGTH.pack(len(text)) + text)
        for array in whole.values():
            if array.size:  # an empty one has no bytes to look at
                self._wait_until(deadline)
                self.socket.sendall(array.data.cast("B"))

    def receive(self, deadline: float | None = None) -> Frame:
        """The next frame.

        Raises:
            EOFError: the other end is gone.
            FrameError: what came is none.
            TimeoutError: it was not whole before the deadline, by the monotonic clock.
        """
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if length > self.most_head:
            raise FrameError(f"a head of up to {self.most_head} bytes was expected, {length} came")
        head = _parsed(bytes(self._read(length, deadline)))
        listed = _listed(head.pop("arrays", None))
        # An empty array of long sides takes no memory, but numpy refuses it.
        size = sum(dtype.itemsize * math.prod(max(side, 1) for side in shape) for _, dtype, shape in listed)
        if size > self.most_arrays:
            raise FrameError(f"arrays of up to {self.most_arrays} bytes were expected, {size} came")
        arrays = {}
        for name, dtype, shape in listed:
            arrays[name] = array = np.empty(shape, dtype)
            if array.size:
                self._read_into(array.data.cast("B"), deadline)
        return Frame(head=head, arrays=arrays)

    def _read(self, length: int, deadline: float | None) -> bytearray:
        content = bytearray(length)
        self._read_into(memoryview(content), deadline)
        return content

    def _read_into(self, place: memoryview, deadline: float | None) -> None:
        while len(place):
            self._wait_until(deadline)
            count = self.socket.recv_into(place)
            if not count:
                raise EOFError
            place = place[count:]

    def _wait_until(self, deadline: float | None) -> None:
        """For the next call: who sends a byte now and then does not hold the other end up for ever."""
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)


def _parsed(text: bytes) -> dict[str, object]:
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("a head in JSON was expected") from None
    if not isinstance(head, dict):
        raise FrameError("a head with names was expected")
    return head


def _listed(listed: Any) -> list[tuple[str, "np.dtype[Any]", tuple[int, ...]]]:
    """Names, kinds and shapes of the arrays that follow."""
    if not isinstance(listed, list) or len(listed) > _MOST_ARRAYS:
        raise FrameError(f"a list of up to {_MOST_ARRAYS} arrays was expected")
    found = []
    for item in listed:
        try:
            name, kind, shape = item
            known = _DTYPES[kind]
            sizes = tuple(shape)
        except (TypeError, ValueError, KeyError):
            raise FrameError("name, kind and shape of an array were expected") from None
        if not isinstance(name, str) or len(sizes) > _MOST_DIMENSIONS or not all(_is_size(size) for size in sizes):
            raise FrameError("name, kind and shape of an array were expected")
        found.append((name, known, sizes))
    if len({name for name, _, _ in found}) < len(found):
        raise FrameError("arrays of different names were expected")
    return found


def _is_size(size: object) -> bool:
    return type(size) is int and 0 <= size < 1 << 31
