"""Running only what stands behind a layer, by giving back what the modules before it returned.

Nothing about the model is analysed: while it runs once, the outputs of the outermost modules that finish before the
layer does are remembered. In a replay the same code of the model runs, but those modules return what they returned
before, and the layer returns what it is told to. Control flow, residuals and shared modules need no special care; code
between the modules is simply run again. Whether a replay is faithful is for the caller to check (`heads`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from case_monitor.domain.errors import CaseMonitorError
from case_monitor.saliency.outputs import Key, put

IsLast = Callable[[nn.Module, tuple[object, ...], object], bool]
"""Whether a call that has just finished is the last to remember: the module, its arguments, its output."""


class ReplayError(Exception):
    """The model did not take the recorded path."""


FAILURES = (ReplayError, CaseMonitorError, RuntimeError, LookupError, TypeError, ValueError)
"""What a model may answer with when its parts are run alone."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one call of a module returned."""

    module: nn.Module
    output: object


class Recorder:
    """Remembers the outputs of the outermost modules that finish before, and with, a chosen call.

    Attributes:
        records: in order; the last is the chosen call's, once it has finished.
        finished: whether it has.
    """

    def __init__(self, model: nn.Module, is_last: IsLast, *, copy: bool) -> None:
        self.records: list[Record] = []
        self.finished = False
        self._model, self._is_last, self._copy = model, is_last, copy
        self._starts: list[int] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every module, removed again."""
        handles = []
        try:
            for module in self._model.modules():
                handles.append(module.register_forward_pre_hook(self._enter))
                handles.append(module.register_forward_hook(self._leave))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, _module: nn.Module, _args: object) -> None:
        self._starts.append(len(self.records))

    def _leave(self, module: nn.Module, args: tuple[object, ...], output: object) -> None:
        start = self._starts.pop()
        if self.finished:
            return
        del self.records[start:]  # calls inside this one
        self.records.append(Record(module, pytree.tree_map_only(Tensor, self._kept, output)))
        self.finished = self._is_last(module, args, output)

    def _kept(self, tensor: Tensor) -> Tensor:
        return tensor.detach().clone() if self._copy else tensor.detach()


class Replay:
    """Runs what stands behind the last recorded call.

    Attributes:
        running: whether recorded calls are still to come in the replay that is under way.
    """

    def __init__(self, model: nn.Module, records: list[Record], images: Tensor, *, copy: bool) -> None:
        self._model, self._records, self._images, self._copy = model, records, images, copy
        self.running = False
        self._modules = list(dict.fromkeys(record.module for record in records))
        self._versions = self._version()

    def __call__(self, rows: Tensor, image: int | None, key: Key | None) -> object:
        """What the model returns when the last recorded call returns `rows` (n, ...), at `key` of its output.

        Args:
            rows: the tensor to return.
            image: row of the recorded batch that all n rows belong to; None where row i belongs to image i.
            key: its place in the output.

        Raises:
            ReplayError: the model took another path, or changed what was recorded.
        """
        last_output = put(self._output_of(self._records[-1], image, len(rows)), key, rows)
        with self._patched(last_output, image, len(rows)):
            output = self._model(self._rows_of(self._images, image, len(rows)))
        if self._version() != self._versions:
            msg = "the model changes in place what an earlier layer returned"
            raise ReplayError(msg)
        return output

    @contextmanager
    def _patched(self, last_output: object, image: int | None, rows: int) -> Iterator[None]:
        """Modules that return their records; their own `forward` is put back, also after an error."""
        records = iter(self._records)
        self.running = True

        def forward_of(module: nn.Module, original: Callable[..., object]) -> Callable[..., object]:
            def forward(*args: object, **kwargs: object) -> object:
                if not self.running:
                    return original(*args, **kwargs)
                record = next(records)
                if record.module is not module:
                    msg = "the model calls its modules in another order"
                    raise ReplayError(msg)
                self.running = record is not self._records[-1]
                return self._output_of(record, image, rows) if self.running else last_output

            return forward

        own = {module: module.__dict__.get("forward") for module in self._modules}
        try:
            for module in self._modules:
                module.forward = forward_of(module, module.forward)
            yield
        finally:
            for module, forward in own.items():
                if forward is None:
                    module.__dict__.pop("forward", None)
                else:
                    module.forward = forward
        if self.running:
            msg = "the model skips a module that it called before"
            raise ReplayError(msg)

    def _output_of(self, record: Record, image: int | None, rows: int) -> object:
        return pytree.tree_map_only(Tensor, lambda t: self._rows_of(t, image, rows), record.output)

    def _rows_of(self, tensor: Tensor, image: int | None, rows: int) -> Tensor:
        if tensor.ndim == 0 or len(tensor) != len(self._images):
            return tensor  # not per image
        if image is not None:
            tensor = tensor[image : image + 1].expand(rows, *tensor.shape[1:])
        return tensor.clone() if self._copy else tensor

    def _version(self) -> int:
        if self._copy:
            return 0
        tensors = pytree.tree_leaves([record.output for record in self._records[:-1]])
        return sum(t._version for t in tensors if isinstance(t, Tensor) and not t.is_inference())


def record_replay(
    model: nn.Module,
    images: Tensor,
    is_last: IsLast,
    run: Callable[[], object],
    *,
    copy: bool = False,
) -> tuple[object, Replay | None]:
    """Run the model by `run` and remember it up to the call that `is_last` names; None where that never came.

    Args:
        model: the model that `run` runs.
        images: (B, C, H, W) what it runs on.
        is_last: tells the call up to which to remember.
        run: runs the model once.
        copy: keep and give back copies, for models that change in place what modules returned.
    """
    recorder = Recorder(model, is_last, copy=copy)
    with recorder.watching():
        output = run()
    if not recorder.finished:
        return output, None
    with torch.no_grad():
        return output, Replay(model, recorder.records, images, copy=copy)
