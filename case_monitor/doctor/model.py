"""One monitored model: its registration, its images, and whether the two fit together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from case_monitor.doctor.check import WORK_LIMIT_S, Answer, Check, ask, failed, ok, skipped, warning
from case_monitor.domain.errors import ModelError, NotFoundError, RegistryError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.measuring_process.place import OpenedSplit
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.registry.artifact import Trust
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.registry.reconcile import reconcile, with_target_layer
from case_monitor.registry.split_artifact import open_split
from case_monitor.settings import ArtifactSplit, FetchedSplit, Settings, declares_subset, read_class_map

_NO_REGISTRY, _NO_VERSION = "the registry does not answer", "no version is registered"
_REFUSED = "see what the checks of MLflow above say; its server's log says more"
_REACH_STORE = (
    "reach the artifact store from this machine: mount the folder, give credentials, install the store's client (boto3 "
    "for s3://), or have the MLflow server hand artifacts out (--serve-artifacts)"
)
_UNREACHABLE = f"{_REACH_STORE}; only if the files are gone there too, log the version again"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Opened:
    """A split, and where it was read."""

    place: RemotePlace
    split: OpenedSplit


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
    opened: _Opened | None = split.value
    try:
        yield _ask_loading(settings, name, registry, holder.value or newest.value, opened, quick=quick)
    finally:
        if opened is not None:
            opened.place.end()


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
    stored = isinstance(settings.models[name].split, ArtifactSplit | FetchedSplit)
    return f"correct `models.{name}.split`, or {_REACH_STORE if stored else 'put the images there'}"


def _open_split(settings: Settings, name: str) -> Answer:
    """`value` is the split, and where it is. One image is prepared, if it is said how: no model may load."""
    spec = settings.models[name]
    Registry(settings.tracking_uri, settings.registry_uri)  # where an MLflow artifact is downloaded from
    place = RemotePlace(spec.split)
    opened = open_split(place, spec.split)
    # What is logged with a model may name another scale, more channels, or the classes of which these are some.
    needs_names = declares_subset(spec.split) or spec.class_map is not None
    if spec.preprocessing is not None and not (spec.class_names is None and needs_names):
        _ = opened.prepared(spec.class_names, spec.preprocessing, 0, read_class_map(spec.class_map)).shape
    title, size, named = opened.about
    classes = f", {named} classes" if named is not None else ""
    return ok(f"{title!r}: {size} images{classes}", _Opened(place=place, split=opened))


def _ask_loading(
    settings: Settings,
    name: str,
    registry: Registry | None,
    version: int | None,
    opened: _Opened | None,
    *,
    quick: bool,
) -> Check:
    title = f"model {name}: loading"
    if quick:
        return skipped(title, "--quick")
    if registry is None or version is None:
        return skipped(title, _NO_VERSION if registry else _NO_REGISTRY)
    return ask(
        title,
        lambda: _fetch(settings, registry, name, version, opened),
        remedy="log the version again, as the README shows, or correct the configuration where the two contradict",
        limit_s=WORK_LIMIT_S,
    )


def _fetch(settings: Settings, registry: Registry, name: str, version: int, opened: _Opened | None) -> Answer:
    try:
        registered = fetch(registry, name, version, Trust.of(settings, name))
    except ModelError:
        raise
    except Exception as error:  # clients of stores raise what they like
        known = isinstance(error, RegistryError)
        found = str(error) if known else f"model {name}/{version}: {type(error).__name__}: {short_message(error)}"
        return failed(f"its files cannot be had from here: {found}", _UNREACHABLE)
    return _load(settings, registered, opened)


def _load(settings: Settings, registered: RegisteredModel, opened: _Opened | None) -> Answer:
    version, isolation = registered.version, settings.isolation.record
    if opened is None:
        place = RemotePlace()
        protocol = settings.protocol_of(version.name)
        try:
            place.see_that_it_loads(registered.files, protocol, place.pick_device(settings.device), isolation)
        finally:
            place.end()
        return warning(f"{version} loads; there is no image to show it", "mend the split")
    images = reconcile(registered, settings.models[version.name], opened.split)
    device = opened.place.pick_device(settings.device)
    protocol = with_target_layer(settings.protocol_of(version.name), registered)
    came, layer = images.tried(registered.files, protocol, device, isolation)
    if came[1:] != (images.split.num_classes,):
        msg = f"number of classes: the data set has {images.split.num_classes}, model {version} returns"
        raise ModelError(f"{msg} {came[-1]} logits")
    said = f"{version} loads and takes an image on {device}; target layer {layer}"
    notes = " ".join(images.split.notes)
    return warning(f"{said}. {notes}", "a verdict will say this, too; mend it, or know of it") if notes else ok(said)
