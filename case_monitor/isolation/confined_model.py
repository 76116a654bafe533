"""A registered model in a process of its own, which is started when it is first asked something."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Self, TypeVar

import torch
from torch import Tensor

from case_monitor.domain.diagnostics import SCORES, score_names
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.protocol import AUTO, LOGITS, SOFTMAX, Protocol
from case_monitor.domain.scores import PAIR_MARGIN, SHOWN_MARGIN
from case_monitor.isolation.answer import Answer
from case_monitor.isolation.confine.level import Level
from case_monitor.isolation.frames import Array
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.isolation.model_process import ModelProcess
from case_monitor.measuring.diagnostics import Diagnosed
from case_monitor.measuring.fidelity import Drops, drop_names, margin_names
from case_monitor.measuring.measured_model import (
    Answers,
    At,
    Evidence,
    Explanation,
    Progress,
    Surveyed,
    ToDraw,
    ToExplain,
)
from case_monitor.saliency import MOST_LAYERS, PAIR, PLACE, SHOWN, most_rows

T = TypeVar("T")

_AHEAD = 2  # batches that are sent before they are asked for: one is read while another is worked on
_LONGEST_NAME = 1000
_TOLD_APART = (LOGITS, SOFTMAX)  # by `auto`


class ConfinedModel:
    """`MeasuredModel`: the files of a registered version, run by a protocol on a device, where they can do no harm.

    Args:
        groups: for each of its logits, as which class it counts; empty: each has its own.
    """

    def __init__(
        self, files: ModelFiles, protocol: Protocol, device: str, isolation: Isolation, groups: tuple[int, ...] = ()
    ) -> None:
        self._files, self._protocol, self._device, self._isolation = files, protocol, device, isolation
        self._groups = groups
        self._process: ModelProcess | None = None
        self._busy = False  # with a request whose answers have not all come
        self._sizes: dict[tuple[object, ...], tuple[int, ...]] = {}  # of maps, by name, layer and size of images

    def __reduce__(self) -> tuple[object, ...]:
        """As it travels to another process: without its own."""
        return ConfinedModel, (self._files, self._protocol, self._device, self._isolation, self._groups)

    @property
    def title(self) -> str:
        """Whose files they are, for messages."""
        return self._files.title

    def load(self) -> Level:
        """See that it loads; how far it is shut in."""
        return self._running().level

    def survey(self, first: Tensor, target_layer: str, known: bool = False) -> Surveyed:
        head = {"do": "survey", "layer": target_layer, "known": known}
        [(_, answer)] = self._answers(head, None, iter([first]), lambda images: {"images": images.numpy()})
        size = self._protocol.batch_size
        return Surveyed(
            layer=answer.text("layer", _LONGEST_NAME, None if target_layer == "auto" else target_layer),
            batch_size=answer.count("batch_size", size or 1, size or most_rows(self._device)),
            outputs=answer.one_of(
                "outputs", _TOLD_APART if self._protocol.outputs == AUTO else (self._protocol.outputs,)
            ),
            isolation=self._running().level,
        )

    def layers(self, first: Tensor) -> tuple[str, ...]:
        [(_, answer)] = self._answers({"do": "layers"}, None, iter([first]), lambda images: {"images": images.numpy()})
        return answer.texts("layers", MOST_LAYERS, _LONGEST_NAME)

    def predict(self, first: Tensor, batches: Iterator[Tensor], layer: str) -> Iterator[Answers]:
        head = {"do": "predict", "layer": layer}
        for _, answer in self._answers(head, first, batches, lambda images: {"images": images.numpy()}):
            yield Answers(logits=answer.logits(), active_channels=answer.counts("active_channels"))

    def explain(self, first: Tensor, batches: Iterator[ToExplain], at: At, progress: Progress) -> Iterator[Explanation]:
        protocol = self._protocol
        keys = drop_names(protocol.methods, protocol.areas, protocol.fills)
        shown = at.shown or protocol.methods[0]
        scores = tuple(score_names(protocol.diagnostics, protocol.methods))
        margins = [*margin_names(shown, protocol.areas), ("", PAIR_MARGIN), (shown, SHOWN_MARGIN)]
        for batch, answer in self._answers(_at("explain", at), first, batches, _of_explained, progress):
            drops = Drops(
                values={key: answer.drop(*key) for key in keys},
                margins={key: answer.margin(*key) for key in margins},
                broken=answer.counts("broken"),
            )
            diagnosed = Diagnosed(
                values={(method, score): answer.diagnosed(method, SCORES[score]) for method, score in scores},
                broken=answer.counts("broken in diagnostics"),
            )
            classes = dict.fromkeys(protocol.methods, 2) | {PAIR: 1, PLACE: 1, SHOWN: 2}
            maps = self._maps(answer, at, batch.images, classes)
            evidence = Evidence(pair=maps.pop(PAIR), place=maps.pop(PLACE), shown=maps.pop(SHOWN))
            yield Explanation(maps=maps, evidence=evidence, drops=drops, diagnosed=diagnosed)

    def draw(self, batches: Iterator[ToDraw], at: At, methods: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        head = _at("draw", at) | {"methods": list(methods)}
        for batch, answer in self._answers(head, None, batches, _of_drawn):
            yield self._maps(answer, at, batch.images, dict.fromkeys(methods, batch.classes.shape[1]))

    def under(self, protocol: Protocol) -> Self:
        """The same model in another process."""
        return type(self)(self._files, protocol, self._device, self._isolation, self._groups)

    def apart(self, first: Tensor) -> Self:  # noqa: ARG002 - a process needs no trial
        """The same model in another process."""
        twin = type(self)(self._files, self._protocol, self._device, self._isolation, self._groups)
        twin._sizes = self._sizes
        return twin

    def end(self) -> None:
        """End its process; another is started when it is needed."""
        process, self._process, self._busy = self._process, None, False
        if process is not None:
            process.end()

    def _answers(
        self,
        head: Mapping[str, object],
        first: Tensor | None,
        batches: Iterator[T],
        arrays: Callable[[T], Mapping[str, Array]],
        progress: Progress | None = None,
    ) -> Iterator[tuple[T, Answer]]:
        """Every batch, with its answer."""
        if self._busy:
            self.end()  # its answers would be taken for those of this request
        process = self._running()
        finished, self._busy = False, True
        try:
            request = {**head, "title": self._files.title, "threads": torch.get_num_threads()}
            process.send(request, {} if first is None else {"first": first.numpy()})
            sent: deque[tuple[T, int]] = deque()
            for batch in batches:
                ours = arrays(batch)
                process.send({"do": "batch"}, ours)
                sent.append((batch, len(next(iter(ours.values())))))
                if len(sent) == _AHEAD:
                    yield self._next(process, sent, progress)
            process.send({"do": "end"})
            rest = [self._next(process, sent, progress) for _ in range(len(sent))]  # one: who asks may stop at the last
            if process.receive().head.get("is") != "done":
                raise process.refuse("the end of its answers")
            finished, self._busy = True, False
            yield from rest
        finally:
            if not finished and process is self._process:
                self.end()  # what was sent ahead would be taken for part of another request

    def _maps(self, answer: Answer, at: At, images: Tensor, classes: Mapping[str, int]) -> dict[str, Tensor]:
        """Name -> maps of a batch, of so many classes; as large as those before: some of all are shown side by side."""
        found = {}
        for name, count in classes.items():
            key = name, at.layer, *images.shape[1:]
            found[name] = answer.map(name, count, self._sizes.get(key))
            self._sizes[key] = tuple(found[name].shape[2:])
        return found

    def _next(self, process: ModelProcess, sent: "deque[tuple[T, int]]", progress: Progress | None) -> tuple[T, Answer]:
        frame = process.receive(progress)
        if frame.head.get("is") != "answer":
            raise process.refuse("an answer")
        batch, size = sent.popleft()
        return batch, Answer(frame, process.refuse, size)

    def _running(self) -> ModelProcess:
        if self._process is None or not self._process.usable:
            files = self._files
            process = ModelProcess(files.title, [files.path], self._isolation)
            process.send(
                {
                    "do": "load",
                    "title": files.title,
                    "data": str(files.path / files.data),
                    "code": str(files.path / files.code),
                    "protocol": asdict(self._protocol),
                    "device": self._device,
                    "groups": self._groups,
                    "threads": torch.get_num_threads(),
                }
            )
            if process.receive().head.get("is") != "loaded":
                raise process.refuse("that it is loaded")
            if self._protocol.compile and process.level is Level.CONFINED:
                process.end()
                raise ConfigError(
                    "protocol.compile: a compiler needs processes and files that a confined model has not; leave it out"
                )
            self._process = process
        return self._process


def _at(do: str, at: At) -> dict[str, object]:
    how = {"layer": at.layer, "batch_size": at.batch_size, "shown": at.shown, "outputs": at.outputs}
    return {"do": do, "contrast": at.contrast, **how}


def _of_explained(batch: ToExplain) -> dict[str, Array]:
    tensors = {"images": batch.images, "classes": batch.classes, "logits": batch.logits}
    return {name: tensor.numpy() for name, tensor in tensors.items()} | {"seeds": batch.seeds} | _excluded(batch)


def _of_drawn(batch: ToDraw) -> dict[str, Array]:
    return {"images": batch.images.numpy(), "classes": batch.classes.numpy()} | _excluded(batch)


def _excluded(batch: ToExplain | ToDraw) -> dict[str, Array]:
    return {} if batch.excluded is None else {"excluded": batch.excluded.numpy().astype("uint8")}
