"""What the measuring process answers, as a JSON head with raw arrays: plain values and a few records, and never code.

Not a pickle: one of an array alone can make an object of any bytes, and the process has read images of unknown origin.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from case_monitor.domain.gallery import Gallery, ModelInputs
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.isolation.frames import Array, Frame, FrameError

RECORDS: Mapping[str, type[Any]] = {
    record.__name__: record for record in (Gallery, ModelInputs, PredictedPart, SampleScores, Split)
}


def packed(value: object, hold: Callable[[object], int]) -> tuple[dict[str, object], dict[str, Array]]:
    """A value as head and arrays of a frame; what is neither plain nor a record stays, and is named by a number.

    Args:
        value: to be sent.
        hold: keeps a thing that stays; its number.
    """
    arrays: dict[str, Array] = {}
    return {"value": _packed(value, arrays, hold)}, arrays


def unpacked(frame: Frame, held: Callable[[int], object]) -> object:
    """The value of a frame.

    Args:
        frame: as it came.
        held: makes of a number what stands here for the thing that stays there.

    Raises:
        FrameError: it is none.
    """
    try:
        return _unpacked(frame.head["value"], frame.arrays, held)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise FrameError("plain values, records and arrays were expected") from None


def _packed(item: Any, arrays: dict[str, Array], hold: Callable[[Any], int]) -> Any:
    match item:
        case None | bool() | int() | float() | str():
            return item
        case tuple():
            return {"tuple": [_packed(part, arrays, hold) for part in item]}
        case np.ndarray():
            arrays[name := f"{len(arrays)}"] = item
            return {"array": name}
        case Mapping():
            return {"map": [[_packed(part, arrays, hold) for part in pair] for pair in item.items()]}
    if RECORDS.get(type(item).__name__) is not type(item):
        return {"held": hold(item)}
    values = {field.name: _packed(getattr(item, field.name), arrays, hold) for field in fields(item)}
    return {"record": type(item).__name__, "fields": values}


def _unpacked(item: object, arrays: Mapping[str, Array], held: Callable[[int], object]) -> object:
    match item:
        case None | bool() | int() | float() | str():
            return item
        case {"tuple": [*parts]}:
            return tuple(_unpacked(part, arrays, held) for part in parts)
        case {"array": str(name)}:
            return arrays[name]
        case {"map": [*pairs]}:
            return {_unpacked(key, arrays, held): _unpacked(part, arrays, held) for key, part in pairs}
        case {"record": str(name), "fields": {**values}}:
            return RECORDS[name](**{str(field): _unpacked(part, arrays, held) for field, part in values.items()})
        case {"held": int(number)}:
            return held(number)
    raise FrameError("plain values, records and arrays were expected")
