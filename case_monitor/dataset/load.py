"""Reading a split by the reader of its kind."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from case_monitor.dataset.cifar import read_cifar
from case_monitor.dataset.distinct import distinct
from case_monitor.dataset.huggingface import read_huggingface
from case_monitor.dataset.image_folder import read_image_folder
from case_monitor.dataset.imagenet import read_imagenet
from case_monitor.dataset.npz import read_npz
from case_monitor.dataset.objects import read_objects
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.table import read_table
from case_monitor.dataset.user_function import read_function
from case_monitor.dataset.webdataset import read_webdataset
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.settings import (
    CifarSplit,
    FunctionSplit,
    HuggingfaceSplit,
    ImageFolderSplit,
    ImagenetSplit,
    NpzSplit,
    SplitSpec,
    TableSplit,
    WebdatasetSplit,
    declares_subset,
)
from case_monitor.settings.strict import Strict

_READERS: Mapping[type[Strict], Callable[[Any], RawSplit]] = {
    ImageFolderSplit: read_image_folder,
    TableSplit: read_table,
    ImagenetSplit: read_imagenet,
    CifarSplit: read_cifar,
    NpzSplit: read_npz,
    HuggingfaceSplit: read_huggingface,
    WebdatasetSplit: read_webdataset,
    FunctionSplit: read_function,
}


def load_split(spec: SplitSpec) -> RawSplit:
    """Read a split that is on this machine.

    Raises:
        DataError: what is there is not what the spec says.
        ConfigError: the function of a `function` split cannot be imported, or the split is elsewhere.
    """
    reader = _READERS.get(type(spec))
    if reader is None:
        msg = f"split: a place on this machine was expected, kind {spec.kind} came, which is downloaded first"
        raise ConfigError(msg)
    raw = reader(spec)
    if len(raw.sample_ids) == 0:
        msg = "; ".join([f"split {raw.name!r}: images were expected, none came", *raw.notes])
        raise DataError(msg)
    low, high = int(raw.labels.min()), int(raw.labels.max())
    if low < 0 or (raw.class_names is not None and high >= len(raw.class_names)):
        top = "" if raw.class_names is None else len(raw.class_names) - 1
        msg = f"split {raw.name!r}: labels in 0..{top} were expected, {low}..{high} came"
        raise DataError(msg)
    return _marked(distinct(replace(raw, subset=declares_subset(spec))), getattr(spec, "objects", None))


def _marked(raw: RawSplit, path: Path | None) -> RawSplit:
    """The split with what is marked in its images."""
    if path is None:
        return raw
    objects, note = read_objects(path, raw.sample_ids, raw.name)
    return replace(raw, objects=objects, notes=(*raw.notes, note))
