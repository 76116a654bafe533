"""One monitored model: where its validation images lie, what is done to them, what it is judged by."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from case_monitor.settings.pickles import Pickles
from case_monitor.settings.policy_and_protocol import PolicySettings, ProtocolSettings
from case_monitor.settings.preprocessing import Preprocessing


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ImageFolderSplit(_Strict):
    """A directory with one folder of images per class, named after the class: 8 bits a channel, opaque."""

    kind: Literal["image_folder"]
    path: Path
    """The directory."""


class CifarSplit(_Strict):
    """CIFAR-10 or CIFAR-100 in the authors' Python format, already on disk."""

    kind: Literal["cifar10", "cifar100"]
    path: Path
    """The directory that holds `cifar-10-batches-py` or `cifar-100-python`."""


class NpzSplit(_Strict):
    """A NumPy archive: `images` (N, H, W) or (N, H, W, C) uint8, `labels` (N,), and optionally `class_names`, `ids`."""

    kind: Literal["npz"]
    path: Path
    """The file."""


class ArtifactSplit(_Strict):
    """A split stored as an MLflow artifact."""

    kind: Literal["mlflow_artifact"]
    uri: str
    """`runs:/<run id>/<path>`, `models:/<name>/<version>/<path>` or `mlflow-artifacts:/...`."""
    format: Literal["image_folder", "npz"]
    """How to read what was downloaded."""


class FunctionSplit(_Strict):
    """A function of yours that returns a `torch.utils.data.Dataset` of (image, class index).

    The same images at each start and at each reading: nothing random, no augmentation. It runs in the process that
    measures, which then has environment, directory and path of the one that judges.
    """

    kind: Literal["function"]
    function: str = Field(pattern=r"^[\w.]+:\w+$")
    """`package.module:function`. Importing it runs its code."""
    arguments: dict[str, object] = {}
    """Keyword arguments for the function."""


SplitSpec = Annotated[
    ImageFolderSplit | CifarSplit | NpzSplit | ArtifactSplit | FunctionSplit, Field(discriminator="kind")
]


class ModelSettings(_Strict):
    """One monitored model."""

    split: SplitSpec
    """The validation images."""
    class_names: tuple[str, ...] | None = None
    """In the order of the logits. Needed only where neither the model version nor the data set says."""
    preprocessing: Preprocessing | None = None
    """Needed only where the model version was logged without it."""
    policy: PolicySettings | None = None
    """Replaces the general policy for this model."""
    protocol: ProtocolSettings | None = None
    """Replaces the general protocol for this model."""
    pickles: Pickles | None = None
    """Replaces the general setting for this model."""
