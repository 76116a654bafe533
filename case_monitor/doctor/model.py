"""One monitored model: its registration, its images, and whether the two fit together."""

from collections.abc import Callable, Iterator

from torch import Tensor

from case_monitor.dataset import PreparedImages, RawSplit, load_split
from case_monitor.doctor.check import WORK_LIMIT_S, Answer, Check, ask, failed, ok, skipped, warning
from case_monitor.domain.errors import ModelError, NotFoundError, RegistryError
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.isolation.frames import Array
from case_monitor.logs.foreign_errors import short_message
from case_monitor.measuring.device import pick_device
from case_monitor.registry.artifact import Trust
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.registry.reconcile import reconcile, with_target_layer
from case_monitor.settings import ArtifactSplit, Preprocessing, Settings

_NO_REGISTRY, _NO_VERSION = "the registry does not answer", "no version is registered"
_REFUSED = "see what the checks of MLflow above say; its server's log says more"
_REACH_STORE = (
    "reach the artifact store from this machine: mount the folder, give credentials, install the store's client (boto3 "
    "for s3://), or have the MLflow server hand artifacts out (--serve-artifacts)"
)
_UNREACHABLE = f"{_REACH_STORE}; only if the files are gone there too, log the version again"


def model_checks(settings: Settings, name: str, registry: Registry | None, *, quick: bool) -> Iterator[Check]:
    """Look at the registered versions, at the split, and at the version in production or else the newest.

    Args:
        settings: the configuration.
        name: of the model.
        registry: None where it does not answer.
        quick: load no model.
    """
    newest = _ask_registered(name, registry)
    yield newest
    holder = _ask_alias(name, registry, settings.alias, newest.value)
    yield holder
    split = ask(
        f"model {name}: split",
        lambda: _open_split(settings, name),
        remedy=_split_remedy(settings, name),
        limit_s=WORK_LIMIT_S,
    )
    yield split
    yield _ask_loading(settings, name, registry, holder.value or newest.value, split.value, quick=quick)


def _ask_registered(name: str, registry: Registry | None) -> Check:
    title, remedy = f"model {name}: versions", f"log the model with registered_model_name={name!r}, or correct the name"

    def look() -> Answer:
        newest = registry.newest_version(name) if registry else None
        return ok(f"version {newest} is the newest", newest) if newest else failed(_NO_VERSION, remedy)

    return ask(title, _of_registry(look), remedy=remedy) if registry else skipped(title, _NO_REGISTRY)


def _ask_alias(name: str, registry: Registry | None, alias: str, newest: int | None) -> Check:
    title = f"model {name}: alias {alias}"
    if registry is None or newest is None:
        return skipped(title, _NO_VERSION if registry else _NO_REGISTRY)
    remedy = f"case-monitor gate {name}/{newest}"

    def look() -> Answer:
        holder = registry.alias_holder(name, alias)
        if holder is None:
            return warning("no version holds it: nothing is in production, and nothing is checked at night", remedy)
        return ok(f"version {holder} holds it", holder)

    return ask(title, _of_registry(look), remedy=remedy)


def _of_registry(look: Callable[[], Answer]) -> Callable[[], Answer]:
    """A registry that refuses has another remedy than what it does not have."""

    def looked() -> Answer:
        try:
            return look()
        except NotFoundError:
            raise
        except RegistryError as error:
            return failed(str(error), _REFUSED)

    return looked


def _split_remedy(settings: Settings, name: str) -> str:
    stored = isinstance(settings.models[name].split, ArtifactSplit)
    return f"correct `models.{name}.split`, or {_REACH_STORE if stored else 'put the images there'}"


def _open_split(settings: Settings, name: str) -> Answer:
    """`value` is the split. One image is prepared, with what the configuration says: the model may not load."""
    spec = settings.models[name]
    Registry(settings.tracking_uri, settings.registry_uri)  # where an MLflow artifact is downloaded from
    raw = load_split(spec.split)
    source = PreparedImages(raw, raw.labels, spec.preprocessing or Preprocessing(), num_workers=0)
    next(source.batches([0], 1))
    classes = f", {len(raw.class_names)} classes" if raw.class_names else ""
    return ok(f"{raw.name!r}: {len(raw.sample_ids)} images{classes}", raw)


def _ask_loading(
    settings: Settings, name: str, registry: Registry | None, version: int | None, raw: RawSplit | None, *, quick: bool
) -> Check:
    title = f"model {name}: loading"
    if quick:
        return skipped(title, "--quick")
    if registry is None or version is None:
        return skipped(title, _NO_VERSION if registry else _NO_REGISTRY)
    return ask(
        title,
        lambda: _fetch(settings, registry, name, version, raw),
        remedy="log the version again, as the README shows, or correct the configuration where the two contradict",
        limit_s=WORK_LIMIT_S,
    )


def _fetch(settings: Settings, registry: Registry, name: str, version: int, raw: RawSplit | None) -> Answer:
    try:
        registered = fetch(registry, name, version, Trust.of(settings, name))
    except ModelError:
        raise
    except Exception as error:  # clients of stores raise what they like
        known = isinstance(error, RegistryError)
        found = str(error) if known else f"model {name}/{version}: {type(error).__name__}: {short_message(error)}"
        return failed(f"its files cannot be had from here: {found}", _UNREACHABLE)
    return _load(settings, registered, raw)


def _load(settings: Settings, registered: RegisteredModel, raw: RawSplit | None) -> Answer:
    version = registered.version
    if raw is None:
        _see_that_it_loads(settings, registered)
        remedy = "mend the split"
        return warning(f"{version} loads; there is no image to show it", remedy)
    split, source = reconcile(registered, settings.models[version.name], raw)
    device = pick_device(settings.device)
    images = next(source.batches([0], 1))
    logits, layer = _run(settings, registered, images, device)
    if logits.shape[1:] != (split.num_classes,):
        came = f"model {version} returns {logits.shape[-1]} logits"
        raise ModelError(f"number of classes: the data set has {split.num_classes}, {came}")
    return ok(f"{version} loads and takes an image on {device}; target layer {layer}")


def _see_that_it_loads(settings: Settings, registered: RegisteredModel) -> None:
    protocol = settings.protocol_of(registered.version.name)
    model = ConfinedModel(registered.files, protocol, pick_device(settings.device), settings.isolation.record)
    try:
        model.load()
    finally:
        model.end()


def _run(settings: Settings, registered: RegisteredModel, images: Tensor, device: str) -> tuple[Array, str]:
    """Logits (1, C) of an image, and the target layer."""
    version = registered.version
    protocol = with_target_layer(settings.protocol_of(version.name), registered)
    model = ConfinedModel(registered.files, protocol, device, settings.isolation.record)
    try:
        model.load()
        layer = model.survey(images, protocol.target_layer).layer
        [answers] = model.predict(images, iter([images]), layer)
    except ModelError as error:
        failing = f"model {version} does not work: "
        if not str(error).startswith(failing):
            raise
        why = str(error).removeprefix(failing)
        raise ModelError(f"model {version} does not take an image of {tuple(images.shape)}: {why}") from None
    finally:
        model.end()
    return answers.logits, layer
