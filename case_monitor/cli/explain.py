"""`explain`: the saliency maps of one image file."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from case_monitor.cli.say import say
from case_monitor.cli.standard_output import results_console
from case_monitor.dataset import PreparedImages, RawSplit
from case_monitor.domain.errors import DataError
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.model_ref import ModelRef
from case_monitor.evidence.pictures import Caption, heat_maps
from case_monitor.registry.artifact import Trust
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.registry.reconcile import choose_preprocessing, with_target_layer
from case_monitor.settings import Settings, load_settings
from case_monitor.steps.explain_image import explain_image
from case_monitor.store import read
from case_monitor.store.open import open_store

Contrast = dict[int, dict[int, float]]


def run_explain(model: str, image: Path, output: Path, config: Path | None) -> None:
    """Write a picture with every method's maps for the top-1 and the top-2 class."""
    settings = load_settings(config)
    ref = ModelRef.parse(model)
    raw = _one_image(image)
    registry = Registry(settings.tracking_uri, settings.registry_uri)
    registered = fetch(registry, ref.name, registry.resolve(ref), Trust.of(settings, ref.name))
    preprocessing = choose_preprocessing(registered, settings.model(ref.name))
    source = PreparedImages(raw, raw.labels, preprocessing, num_workers=0)
    images = next(source.batches([0], 1))
    contrast, names = _stored(settings, registered)
    protocol = with_target_layer(settings.protocol_of(ref.name), registered)
    explained = explain_image(registered, images, protocol, contrast, settings.isolation.record)
    labels = registered.class_names or settings.model(ref.name).class_names or names
    top1, top2 = explained.classes.tolist()
    caption = Caption(
        subject=str(registered.version),
        class_names=labels or tuple(str(u) for u in range(max(top1, top2) + 1)),
        gate_method=settings.policy_of(ref.name).gate_method,
    )
    gallery = Gallery(
        sample_ids=raw.sample_ids,
        images=source.to_display(images),
        target=np.array([top1]),
        top2=np.array([top2]),
        maps=explained.maps,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    heat_maps(caption, gallery).savefig(output, dpi=150, facecolor="white")
    if contrast is None:
        note = f"{registered.version} has not been checked: CASE contrasts with this image's next classes."
        say(note)
    results_console().print(str(output), markup=False, highlight=False, soft_wrap=True)


def _one_image(path: Path) -> RawSplit:
    try:
        with Image.open(path) as file:
            image = file.copy()
    except FileNotFoundError:
        msg = f"image: a file was expected at {path}, none is there"
        raise DataError(msg) from None
    except (OSError, UnidentifiedImageError) as error:
        msg = f"image: {path} cannot be read as an image: {error}"
        raise DataError(msg) from None
    return RawSplit(
        name=path.name,
        images=[(image, 0)],  # type: ignore[arg-type] # a list is a map-style data set in all but name
        sample_ids=(path.name,),
        labels=np.zeros(1, dtype=np.int64),
        class_names=None,
        digest="",
        contents=(b"",),
    )


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
