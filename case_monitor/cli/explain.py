"""`explain`: the saliency maps of one image file."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from case_monitor.cli.say import say
from case_monitor.cli.standard_output import results_console
from case_monitor.dataset import PreparedImages, RawSplit
from case_monitor.domain.errors import DataError, ModelError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.protocol import Protocol
from case_monitor.evidence.pictures import Caption, heat_maps
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.registry.reconcile import choose_preprocessing, with_target_layer
from case_monitor.saliency import find_target_layer, inspecting, logits_of, saliency_maps
from case_monitor.settings import Settings, load_settings
from case_monitor.store import read
from case_monitor.store.open import open_store

Contrast = dict[int, dict[int, float]]


def run_explain(model: str, image: Path, output: Path, config: Path | None) -> None:
    """Write a picture with every method's maps for the top-1 and the top-2 class."""
    settings = load_settings(config)
    ref = ModelRef.parse(model)
    raw = _one_image(image)
    registry = Registry(settings.tracking_uri, settings.registry_uri)
    registered = fetch(registry, ref.name, registry.resolve(ref))
    preprocessing = choose_preprocessing(registered, settings.model(ref.name))
    source = PreparedImages(raw, raw.labels, preprocessing, num_workers=0)
    images = next(source.batches([0], 1))
    contrast, names = _stored(settings, registered)
    protocol = with_target_layer(settings.protocol_of(ref.name), registered)
    with foreign_code(f"model {registered.version}"):
        targets, maps = _explain(registered, images, protocol, contrast)
    labels = registered.class_names or settings.model(ref.name).class_names or names
    top1, top2 = targets[0].tolist()
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
        maps={method: m.numpy() for method, m in maps.items()},
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


def _explain(
    registered: RegisteredModel,
    images: Tensor,
    protocol: Protocol,
    contrast: Contrast | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """(1, 2) top-1 and top-2 class, and method -> (1, 2, H, W)."""
    model = registered.model
    key = protocol.output_key
    with inspecting(model), torch.no_grad():
        logits = logits_of(model(images), key, len(images))
    if logits.shape[1] < 2:
        msg = f"model {registered.version}: logits of two or more classes were expected, {logits.shape[1]} came"
        raise ModelError(msg)
    targets = logits.topk(2).indices
    layer = protocol.target_layer
    maps = saliency_maps(
        model,
        images,
        targets,
        target_layer=find_target_layer(model, images, output_key=key) if layer == "auto" else layer,
        methods=protocol.methods,
        contrast_sets=contrast,
        contrast_k=protocol.contrast_k,
        output_key=key,
    )
    return targets, maps
