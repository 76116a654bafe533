"""Tapping a module by a forward hook."""

from collections.abc import Callable

from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.outputs import Key, Outputs, pick, put
from case_monitor.saliency.replay import Replay, record_replay
from case_monitor.saliency.target_layer import Layout, TargetLayer, find_layout

_SWIN = "torchvision.models.swin_transformer"  # keeps channels last throughout


def keeps_channels_last(model: nn.Module) -> bool:
    """Whether its outputs are (B, h, w, K) where their shape leaves it open."""
    return any(type(module).__module__ == _SWIN for module in model.modules())


class ModuleTap:
    """A `Tap` on one module of a model that calls its modules."""

    def __init__(self, model: nn.Module, target: TargetLayer, outputs: Outputs) -> None:
        self.model = model
        self.module, path = _find(model, target.module)
        self.name = path if target.call is None else f"{path}@{target.call}"
        self._target, self._outputs = target, outputs
        self._swin = keeps_channels_last(model)

    def logits(self, images: Tensor) -> Tensor:
        return self._outputs.logits(self.model(images), len(images))

    def __call__(self, images: Tensor, edit: Callable[[Tensor], Tensor]) -> Tensor:
        return self._outputs.logits(self._run(images, edit), len(images))

    def layout(self, output: Tensor, images: Tensor) -> Layout:
        try:
            return find_layout(output, images, self._target, swin=self._swin)
        except TargetLayerError as error:
            msg = f"target layer {self.name!r}: {error}"
            raise TargetLayerError(msg) from None

    def record(
        self, images: Tensor, edit: Callable[[Tensor], Tensor], *, copy: bool
    ) -> tuple[Tensor, "ModuleHead | None"]:
        calls = 0

        def is_target(module: nn.Module, _args: tuple[object, ...], _output: object) -> bool:
            nonlocal calls
            calls += module is self.module
            return module is self.module and calls == (self._target.call or 0) + 1

        output, replay = record_replay(self.model, images, is_target, lambda: self._run(images, edit), copy=copy)
        head = None if replay is None else ModuleHead(replay, self._target.key, self._outputs)
        return self._outputs.logits(output, len(images)), head

    def _run(self, images: Tensor, edit: Callable[[Tensor], Tensor]) -> object:
        calls = 0

        def hook(_module: nn.Module, _args: object, output: object) -> object:
            nonlocal calls
            calls += 1
            if calls != (self._target.call or 0) + 1:
                return output
            return put(output, self._target.key, edit(self._picked(output)))

        handle = self.module.register_forward_hook(hook)
        try:
            output = self.model(images)
        finally:
            handle.remove()
        check_calls(calls, self._target.call, self.name)
        return output

    def _picked(self, output: object) -> Tensor:
        return picked(output, self._target.key, self.name)


class ModuleHead:
    """A `HeadRun` by replay."""

    def __init__(self, replay: Replay, key: Key | None, outputs: Outputs) -> None:
        self.replay = replay
        self.key, self.outputs = key, outputs

    def __call__(self, rows: Tensor, image: int | None) -> Tensor:
        return self.outputs.logits(self.replay(rows, image, self.key), len(rows))


def picked(output: object, key: Key | None, name: str) -> Tensor:
    """The tensor that a layer returned.

    Raises:
        TargetLayerError: it is no tensor, or has no such entry.
    """
    try:
        tensor = pick(output, key)
    except LookupError:
        tensor = None
    if not isinstance(tensor, Tensor):
        wanted = "a tensor" if key is None else f"an entry {key!r}"
        msg = f"target layer {name!r}: {wanted} was expected, a {type(output).__name__} came; name the entry: name[key]"
        raise TargetLayerError(msg)
    return tensor


def check_calls(calls: int, wanted: int | None, name: str) -> None:
    """Whether the layer ran as often as the choice of a call supposes.

    Raises:
        TargetLayerError: it did not.
    """
    if wanted is None and calls > 1:
        base = name.partition("@")[0]
        msg = (
            f"target layer {name!r}: one call per forward pass was expected, {calls} came; "
            f"name one of them: {base}@0 to {base}@{calls - 1}"
        )
        raise TargetLayerError(msg)
    if calls <= (wanted or 0):
        msg = f"target layer {name!r}: more than {wanted or 0} calls per forward pass were expected, {calls} came"
        raise TargetLayerError(msg)


def unknown_layer(name: str, known: list[str]) -> TargetLayerError:
    """An error that lists the model's last layers."""
    return TargetLayerError(
        f"target layer {name!r} does not exist in the model; its last layers are: {', '.join(known[-8:])}"
    )


def _find(model: nn.Module, wanted: nn.Module | str) -> tuple[nn.Module, str]:
    modules = dict(model.named_modules(remove_duplicate=False))
    if isinstance(wanted, str):
        for name in (wanted, wanted.removeprefix("module."), wanted.removeprefix("_orig_mod.")):
            if name in modules and name:
                return modules[name], name
        raise unknown_layer(wanted, [name for name in modules if name])
    names = [name for name, module in modules.items() if module is wanted]
    if not names:
        msg = f"target layer: a module of the model was expected, a foreign {type(wanted).__name__} came"
        raise TargetLayerError(msg)
    return wanted, names[0]
