"""`explain`: the saliency maps of one image file."""

from pathlib import Path

from case_monitor.cli.say import say
from case_monitor.cli.standard_output import results_console
from case_monitor.domain.class_groups import group_classes
from case_monitor.domain.errors import DataError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.protocol import OF_IMAGE
from case_monitor.evidence.pictures import Caption, heat_maps
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.registry.artifact import Trust
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.registry.reconcile import choose_class_names, choose_preprocessing, with_target_layer
from case_monitor.settings import ModelSettings, Settings, load_settings, read_class_map
from case_monitor.store import read
from case_monitor.store.open import open_store

Contrast = dict[int, dict[int, float]]


def run_explain(model: str, image: Path, output: Path, config: Path | None) -> None:
    """Write a picture with every method's maps for the top-1 and the top-2 class."""
    settings = load_settings(config)
    ref = ModelRef.parse(model)
    if not image.exists():
        msg = f"image: a file was expected at {image}, none is there"
        raise DataError(msg)
    place = RemotePlace()  # it imports torch beside what is fetched here
    registry = Registry(settings.tracking_uri, settings.registry_uri)
    registered = fetch(registry, ref.name, registry.resolve(ref), Trust.of(settings, ref.name))
    preprocessing = choose_preprocessing(registered, settings.model(ref.name))
    images = place.open_image(image.absolute()).prepared(None, preprocessing)
    names, groups = _classes(registered, settings.model(ref.name))
    contrast, stored_names = _stored(settings, registered)
    of_image = settings.protocol_of(ref.name).contrast == OF_IMAGE
    if of_image or (names is not None and names != stored_names):
        contrast = None  # it is of other classes
    protocol = with_target_layer(settings.protocol_of(ref.name), registered)
    labels = names or stored_names
    num_classes = None if labels is None else len(labels)
    gallery = images.shown(registered.files, protocol, contrast, settings.isolation.record, groups, num_classes)
    most = max(*gallery.target.tolist(), *gallery.top2.tolist())
    caption = Caption(
        subject=str(registered.version),
        class_names=labels or tuple(str(u) for u in range(most + 1)),
        gate_method=settings.policy_of(ref.name).gate_method,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    heat_maps(caption, gallery).savefig(output, dpi=150, facecolor="white")
    if contrast is None and not of_image:
        note = f"{registered.version} has not been checked: CASE contrasts with this image's next classes."
        say(note)
    results_console().print(str(output), markup=False, highlight=False, soft_wrap=True)


def _classes(registered: RegisteredModel, settings: ModelSettings) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """Names of the classes that are explained, and for each of the model's as which of them it counts."""
    names, class_map = choose_class_names(registered, settings), read_class_map(settings.class_map)
    if class_map is None:
        return names, ()
    if names is None:
        msg = "class_map: class names of the model were expected, it has none; give models.<name>.class_names"
        raise DataError(msg)
    found = group_classes(names, class_map)
    return found.names, found.groups


def _stored(settings: Settings, registered: RegisteredModel) -> tuple[Contrast | None, tuple[str, ...] | None]:
    """Contrast sets and class names of the last evaluation of this very model; None if there is none."""
    version = registered.version
    engine = open_store(settings.database_url.get_secret_value())
    try:
        stored = read.latest_evaluation(engine, version.name, version.version)
        if stored is None or stored.model_digest != version.digest:
            return None, None
        return read.load_contrast_sets(engine, stored.id).weights(), stored.class_names
    finally:
        engine.dispose()
