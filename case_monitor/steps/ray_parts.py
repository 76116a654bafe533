"""What travels to the workers of a Ray cluster: work that is small, and refers to models and images sent once."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import cloudpickle
import ray

from case_monitor.domain.errors import ModelError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.measuring.workers.work import ShardWork

_HELD = 5  # parts that a worker keeps: two models with their images of an evaluation, and one of the next

_held: OrderedDict[str, object] = OrderedDict()
"""In a worker process: what it has fetched, the last used at the end."""


class Packed:
    """Work as it is sent with every shard.

    Not a dataclass: Prefect walks through those, and would fetch what is referred to for every shard.
    """

    def __init__(self, content: bytes, refs: dict[str, "ray.ObjectRef[Any]"]) -> None:
        self._content, self._refs = content, refs

    def opened(self) -> ShardWork[object]:
        """The work, in a worker, with parts that this process may have fetched for another shard."""
        work: ShardWork[object] = _Unpickler(self._content, self._part).load()
        return work

    def _part(self, name: str) -> object:
        if name not in _held:
            _held[name] = ray.get(self._refs[name])
        _held.move_to_end(name)
        while len(_held) > _HELD:
            _held.popitem(last=False)
        return _held[name]


class Parts:
    """Puts the parts of works into Ray's object store, each once."""

    def __init__(self) -> None:
        self._put: dict[int, tuple[object, ray.ObjectRef[Any]]] = {}  # with the object, so that its id stays its own

    def pack(self, work: ShardWork[object]) -> Packed:
        """The work with references to its parts in their place.

        Raises:
            ModelError: a part cannot be sent to another process.
        """
        for part in work.parts:
            if id(part) not in self._put:
                self._put[id(part)] = part, _put(part)
        refs = {id(part): self._put[id(part)][1] for part in work.parts}
        content = io.BytesIO()
        _Pickler(content, {place: ref.hex() for place, ref in refs.items()}).dump(work)
        return Packed(content.getvalue(), {ref.hex(): ref for ref in refs.values()})


def _put(part: object) -> "ray.ObjectRef[Any]":
    try:
        return ray.put(part)
    except Exception as error:  # anything can refuse to be pickled, in any way
        msg = (
            f"engine: kind ray sends models and images to other processes, and {type(part).__name__} cannot be pickled "
            f"({short_message(str(error).partition(chr(10))[0])}); use kind threads, or log the model with "
            "serialization_format='pickle' in place of pt2"
        )
        raise ModelError(msg) from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it ships no types
    """Writes the name of a part in its place."""

    def __init__(self, file: io.BytesIO, names: dict[int, str]) -> None:
        super().__init__(file)
        self._names = names

    def persistent_id(self, obj: object) -> str | None:
        return self._names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, part: Callable[[str], object]) -> None:
        super().__init__(io.BytesIO(content))
        self._part = part

    def persistent_load(self, name: str) -> object:
        return self._part(name)
