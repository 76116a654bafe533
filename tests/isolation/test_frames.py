"""Frames: what is sent comes as it was, and whatever else comes is refused before memory is taken for it."""

import json
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from case_monitor.isolation.frames import Array, Frame, FrameError, Wire

Pair = tuple[Wire, Wire]
KINDS = ("float32", "float64", "int64", "uint8")
ARRAYS = st.dictionaries(
    st.text(max_size=10),
    st.sampled_from(KINDS).flatmap(
        lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=1, max_dims=6, min_side=0, max_side=3))
    ),
    max_size=4,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def came(content: bytes) -> Frame:
    """What is read of these bytes, after which the other end is gone."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(content)
        theirs.shutdown(socket.SHUT_WR)
        return Wire(socket=ours).receive(time.monotonic() + 60)


def frame(head: object, after: bytes = b"") -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<I", len(text)) + text + after


def listed(*arrays: object) -> bytes:
    return frame({"arrays": list(arrays)})


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Wire(socket=ours), Wire(socket=theirs)


@given(head=st.dictionaries(st.text(max_size=9).filter(lambda name: name != "arrays"), st.text()), arrays=ARRAYS)
def test_a_frame_comes_as_it_was_sent(head: dict[str, str], arrays: dict[str, Array]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Wire(socket=theirs).send(head, arrays, time.monotonic() + 60)
        found = Wire(socket=ours).receive()
    assert found.head == head
    assert list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()


def test_an_array_that_is_no_block_comes_as_one(pair: Pair) -> None:
    ours, theirs = pair
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    theirs.send({}, {"a": array})
    assert np.array_equal(ours.receive().arrays["a"], array)


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_none(content: bytes) -> None:
    with pytest.raises((FrameError, EOFError)):
        came(content)


@settings(max_examples=500)
@given(JSON, st.binary(max_size=20))
def test_any_head_is_read_or_refused(head: object, after: bytes) -> None:
    try:
        came(frame(head, after))
    except (FrameError, EOFError):
        return
    assert isinstance(head, dict)
    assert isinstance(head["arrays"], list)


@settings(max_examples=500)
@given(st.lists(JSON | st.tuples(st.text(max_size=2), st.sampled_from(KINDS), st.lists(JSON, max_size=7)), max_size=4))
def test_any_list_of_arrays_is_read_or_refused(arrays: list[object]) -> None:
    try:
        found = came(listed(*arrays))
    except (FrameError, EOFError):
        return
    assert len(found.arrays) == len(arrays)


LONG = 2**31 - 1


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<I", 10**9),
        frame([1]),
        frame(b"\xff"),
        frame(b"[" * 50_000),
        frame(b'{"arrays":[["a","uint8",[1' + b"0" * 5000 + b"]]]}"),
        frame(b'{"arrays":[["a","uint8",[Infinity]]]}'),
        frame({}),
        frame({"arrays": {}}),
        listed(["a", "uint8", [LONG, 2]]),
        listed(["a", "uint8", [LONG] * 6]),
        listed(["a", "uint8", [0, LONG, LONG, LONG, LONG]]),
        listed(["a", "uint8", [-1]]),
        listed(["a", "uint8", [True]]),
        listed(["a", "uint8", [1.0]]),
        listed(["a", "uint8", [1] * 7]),
        listed(["a", "object", [1]]),
        listed(["a", "<f4", [1]]),
        listed(["a", ["uint8"], [1]]),
        listed([1, "uint8", [1]]),
        listed(["a", "uint8"]),
        listed(["a", "uint8", 1]),
        listed(["a", "uint8", [0]], ["a", "uint8", [0]]),
        listed(*[[str(i), "uint8", [0]] for i in range(5000)]),
    ],
)
def test_what_is_no_frame_is_refused_though_more_may_come(content: bytes, pair: Pair) -> None:
    ours, theirs = pair
    theirs.socket.settimeout(5)
    ours.socket.settimeout(60)
    theirs.socket.sendall(content)
    with pytest.raises(FrameError):
        ours.receive()


def test_as_many_arrays_as_methods_areas_and_fills_make() -> None:
    assert len(came(listed(*[[str(i), "uint8", [0]] for i in range(500)])).arrays) == 500


@pytest.mark.parametrize("stop", [0, 1, 4, 10, -1])
def test_an_end_within_a_frame_is_no_frame(stop: int) -> None:
    whole = frame({"arrays": [["a", "float32", [2]]]}, bytes(8))
    with pytest.raises(EOFError):
        came(whole[:stop])


def test_who_sends_nothing_or_little_is_late(pair: Pair) -> None:
    ours, theirs = pair
    theirs.socket.sendall(frame({"arrays": [["a", "uint8", [9]]]}, b"x"))
    with pytest.raises(TimeoutError):
        ours.receive(time.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        ours.receive(time.monotonic() - 1)


def test_who_takes_nothing_is_late(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        pair[0].send({}, {"a": np.zeros(1 << 24, np.uint8)}, time.monotonic() + 0.05)
