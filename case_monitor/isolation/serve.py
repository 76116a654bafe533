"""What a model's process does: it loads the model, and answers. Everything here is in the model's hands."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from case_monitor.domain.errors import CaseMonitorError, ModelError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.errors import ERRORS
from case_monitor.isolation.frames import Array, Frame, Wire
from case_monitor.isolation.load_model import load_model
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.measured_model import At, ToDraw, ToExplain
from case_monitor.saliency import PAIR, PLACE, SHOWN

Reply = tuple[Mapping[str, object], Mapping[str, Array]]


def serve(wire: Wire) -> None:
    """Answer requests until the other end is gone."""
    frames: SimpleQueue[Frame | None] = SimpleQueue()
    threading.Thread(target=_read, args=(wire, frames), daemon=True).start()
    model: HeldModel | None = None
    while (request := frames.get()) is not None:
        try:
            if request.head["do"] == "load":
                model = _load(request.head)
                wire.send({"is": "loaded"})
                continue
            if model is None:
                return
            with foreign_code(request.head["title"]):
                torch.set_num_threads(request.head["threads"])
                for head, arrays in _ANSWERS[request.head["do"]](model, request, frames, wire):
                    wire.send({"is": "answer", **head}, arrays)
            wire.send({"is": "done"})
        except CaseMonitorError as error:
            kind = next((name for name, known in ERRORS.items() if isinstance(error, known)), "model")
            wire.send({"is": "error", "kind": kind, "says": str(error)})
            return  # what was sent ahead is in the way of another request


def _read(wire: Wire, frames: "SimpleQueue[Frame | None]") -> None:
    """Take what comes, so that neither end waits for the other with a full pipe."""
    try:
        while True:
            frames.put(wire.receive())
    except (EOFError, OSError):
        frames.put(None)


def _load(head: Mapping[str, Any]) -> HeldModel:
    title = head["title"]
    torch.set_num_threads(head["threads"])
    with foreign_code(title, "does not load"):
        try:
            module = load_model(Path(head["data"]), Path(head["code"]), title)
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{title} does not load: {error}; log that code with the model (code_paths), or name its folder in "
                "isolation.readable"
            ) from None
    protocol, groups = _protocol(head["protocol"]), tuple(head["groups"])
    return HeldModel(model=module, protocol=protocol, device=head["device"], groups=groups)


def _protocol(values: Mapping[str, object]) -> Protocol:
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Protocol(**known)


def _batches(frames: "SimpleQueue[Frame | None]") -> Iterator[Frame]:
    """Those of the request."""
    while (frame := frames.get()) is not None and frame.head["do"] == "batch":
        yield frame


def _at(head: Mapping[str, Any]) -> At:
    contrast = head["contrast"] and {int(u): {int(v): w for v, w in row.items()} for u, row in head["contrast"].items()}
    how = {name: head[name] for name in ("layer", "batch_size", "shown", "outputs")}
    return At(contrast=contrast, **how)


def _tensor(frame: Frame, name: str) -> Tensor:
    return torch.from_numpy(frame.arrays[name])


def _excluded(batch: Frame) -> Tensor | None:
    return _tensor(batch, "excluded").bool() if "excluded" in batch.arrays else None


def _survey(model: HeldModel, request: Frame, frames: "SimpleQueue[Frame | None]", _wire: Wire) -> Iterator[Reply]:
    for batch in _batches(frames):
        found = model.survey(_tensor(batch, "images"), request.head["layer"], request.head["known"])
        yield {"layer": found.layer, "batch_size": found.batch_size, "outputs": found.outputs}, {}


def _layers(model: HeldModel, _request: Frame, frames: "SimpleQueue[Frame | None]", _wire: Wire) -> Iterator[Reply]:
    for batch in _batches(frames):
        yield {"layers": list(model.layers(_tensor(batch, "images")))}, {}


def _predict(model: HeldModel, request: Frame, frames: "SimpleQueue[Frame | None]", _wire: Wire) -> Iterator[Reply]:
    images = (_tensor(batch, "images") for batch in _batches(frames))
    for answers in model.predict(_tensor(request, "first"), images, request.head["layer"]):
        yield {}, {"logits": answers.logits, "active_channels": answers.active_channels}


def _explain(model: HeldModel, request: Frame, frames: "SimpleQueue[Frame | None]", wire: Wire) -> Iterator[Reply]:
    def progress(done: float, images: int) -> None:
        wire.send({"is": "progress", "done": float(done), "images": images})

    batches = (
        ToExplain(
            images=_tensor(batch, "images"),
            classes=_tensor(batch, "classes"),
            logits=_tensor(batch, "logits"),
            seeds=batch.arrays["seeds"],
            excluded=_excluded(batch),
        )
        for batch in _batches(frames)
    )
    for explanation in model.explain(_tensor(request, "first"), batches, _at(request.head), progress):
        evidence, drops = explanation.evidence, explanation.drops
        drawn = {**explanation.maps, PAIR: evidence.pair, PLACE: evidence.place, SHOWN: evidence.shown}
        maps = {f"map {name}": m.cpu().numpy() for name, m in drawn.items()}
        values = {f"drop {method} {metric}": drop for (method, metric), drop in drops.values.items()}
        margins = {f"margin {method} {metric}": margin for (method, metric), margin in drops.margins.items()}
        diagnosed = {f"diagnosed {method} {score}": of for (method, score), of in explanation.diagnosed.values.items()}
        broken = {"broken": drops.broken, "broken in diagnostics": explanation.diagnosed.broken}
        yield {}, {**maps, **values, **margins, **diagnosed, **broken}


def _draw(model: HeldModel, request: Frame, frames: "SimpleQueue[Frame | None]", _wire: Wire) -> Iterator[Reply]:
    batches = (
        ToDraw(images=_tensor(batch, "images"), classes=_tensor(batch, "classes"), excluded=_excluded(batch))
        for batch in _batches(frames)
    )
    for maps in model.draw(batches, _at(request.head), request.head["methods"]):
        yield {}, {f"map {method}": m.cpu().numpy() for method, m in maps.items()}


_ANSWERS: Mapping[str, Callable[..., Iterator[Reply]]] = {
    "survey": _survey,
    "layers": _layers,
    "predict": _predict,
    "explain": _explain,
    "draw": _draw,
}
