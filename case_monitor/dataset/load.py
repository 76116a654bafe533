"""Reading a split by the reader of its kind."""

from case_monitor.dataset.cifar import read_cifar
from case_monitor.dataset.distinct import distinct
from case_monitor.dataset.image_folder import read_image_folder
from case_monitor.dataset.imagenet import read_imagenet
from case_monitor.dataset.npz import read_npz
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.table import read_table
from case_monitor.dataset.user_function import read_function
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.settings import (
    ArtifactSplit,
    CifarSplit,
    FunctionSplit,
    ImageFolderSplit,
    ImagenetSplit,
    NpzSplit,
    SplitSpec,
    TableSplit,
)


def load_split(spec: SplitSpec) -> RawSplit:
    """Read a split that is on this machine.

    Raises:
        DataError: what is there is not what the spec says.
        ConfigError: the function of a `function` split cannot be imported, or the split is elsewhere.
    """
    match spec:
        case ImageFolderSplit():
            raw = read_image_folder(spec)
        case TableSplit():
            raw = read_table(spec)
        case ImagenetSplit():
            raw = read_imagenet(spec)
        case CifarSplit():
            raw = read_cifar(spec)
        case NpzSplit():
            raw = read_npz(spec.path)
        case ArtifactSplit():
            msg = f"split: a place on this machine was expected, {spec.uri} came, which is downloaded first"
            raise ConfigError(msg)
        case FunctionSplit():
            raw = read_function(spec)
    if len(raw.sample_ids) == 0:
        msg = f"split {raw.name!r}: images were expected, none came"
        raise DataError(msg)
    low, high = int(raw.labels.min()), int(raw.labels.max())
    if low < 0 or (raw.class_names is not None and high >= len(raw.class_names)):
        top = "" if raw.class_names is None else len(raw.class_names) - 1
        msg = f"split {raw.name!r}: labels in 0..{top} were expected, {low}..{high} came"
        raise DataError(msg)
    return distinct(raw)
