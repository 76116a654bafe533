"""Bring a model, its configuration and its data together; where two of them contradict, say both sides."""

from dataclasses import replace

from case_monitor.domain.errors import DataError
from case_monitor.domain.protocol import Protocol
from case_monitor.measuring_process.place import Images, OpenedSplit
from case_monitor.registry.loading import RegisteredModel
from case_monitor.settings import ModelSettings, Preprocessing, read_class_map


def reconcile(
    registered: RegisteredModel, settings: ModelSettings, opened: OpenedSplit, num_workers: int = 0
) -> Images:
    """The split as this model reads it. The model's own metadata goes before the configuration.

    Raises:
        DataError: class names, their number, preprocessing, channels or image size contradict each other.
    """
    class_names = choose_class_names(registered, settings)
    preprocessing = choose_preprocessing(registered, settings)
    images = opened.prepared(class_names, preprocessing, num_workers, read_class_map(settings.class_map))
    _check_shape(registered, images.shape)
    return images


def with_target_layer(protocol: Protocol, registered: RegisteredModel) -> Protocol:
    """`auto` gives way to the layer that was logged with the model."""
    if protocol.target_layer == "auto" and registered.target_layer:
        return replace(protocol, target_layer=registered.target_layer)
    return protocol


def choose_class_names(registered: RegisteredModel, settings: ModelSettings) -> tuple[str, ...] | None:
    """Those logged with the model, else the configured ones, in the order of the logits.

    Raises:
        DataError: both are there and differ.
    """
    logged, configured = registered.class_names, settings.class_names
    if logged and configured and logged != configured:
        pairs = enumerate(zip(logged, configured, strict=False))
        first = next((f"; the first that differ: {i}, {a!r} and {b!r}" for i, (a, b) in pairs if a != b), "")
        msg = (
            f"class names: model {registered.version} was logged with {len(logged)}, "
            f"the configuration has {len(configured)}{first}"
        )
        raise DataError(msg)
    return logged or configured


def choose_preprocessing(registered: RegisteredModel, settings: ModelSettings) -> Preprocessing | None:
    """The preprocessing logged with the model, else the configured one.

    Raises:
        DataError: both are there and differ.
    """
    logged, configured = registered.preprocessing, settings.preprocessing
    if logged and configured and logged != configured:
        differing = [f for f in Preprocessing.model_fields if getattr(logged, f) != getattr(configured, f)]
        sides = "; ".join(f"{f}: {getattr(logged, f)} and {getattr(configured, f)}" for f in differing)
        msg = f"preprocessing: model {registered.version} was logged with, and the configuration has, {sides}"
        raise DataError(msg)
    return logged or configured


def _check_shape(registered: RegisteredModel, came: tuple[int, ...]) -> None:
    expected = registered.input_shape or (-1, -1, -1)
    if len(came) != len(expected) or any(w not in {-1, have} for w, have in zip(expected, came, strict=True)):
        msg = (
            f"image size (channels, height, width): model {registered.version} expects {expected}, the prepared data "
            f"set has {came}; -1 stands for any"
        )
        raise DataError(msg)
