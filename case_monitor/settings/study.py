"""What a study is made of: models x data sets x layers x seeds, each a cell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.protocol import AUTO, Protocol
from case_monitor.settings.policy_and_protocol import ProtocolSettings
from case_monitor.settings.preprocessing import Preprocessing
from case_monitor.settings.problems import first_problems
from case_monitor.settings.read_yaml import read_fields
from case_monitor.settings.splits import SplitSpec, anchored_split
from case_monitor.settings.strict import Strict

PAPER_IMAGES, SMALL_IMAGES = 1000, 300
"""How many images of a data set are drawn."""
PAPER_LAYERS: Mapping[str, tuple[str, ...]] = {
    "resnet50": ("layer4.2.conv3",),
    "vgg19_bn": ("features.49",),
    "densenet201": ("features.denseblock4.denselayer32.conv2", "features.norm5"),
    "convnext_large": ("features.7.2.block.0",),
    "resnet": ("blocks.2.conv2",),
    "vgg": ("features.11",),
    "densenet": ("features.denseblock2.denselayer4.conv2", "features.norm5"),
    "convnext": ("features.3.1.block.0",),
}
"""Architecture -> the layers that the paper explains, and of the small networks those in the same place."""


def _as_in_the_paper(value: object) -> object:
    """The paper's number of images, where none is given."""
    return {"sample_size": PAPER_IMAGES} | value if isinstance(value, dict) else value


def _several(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


class StudiedModel(Strict):
    """An architecture on a data set, of `torchvision`, `timm` or `small`; else the registered model of its name."""

    data: str | None = None
    """Which of `data`. Of a registered model, omitted: the split that the configuration has for it."""
    torchvision: str | None = None
    """A name of torchvision's, with `weights`."""
    timm: str | None = None
    """A name of timm's, with `weights`. Needs that package."""
    small: Literal["resnet", "vgg", "densenet", "convnext"] | None = None
    """A small network, trained here with `seeds` on `data: digits` (scikit-learn's) or `shapes` (generated)."""
    weights: Annotated[tuple[Path, ...], BeforeValidator(_several)] = ()
    """Files of weights, one for each seed: a state dict, as `torch.save` or safetensors wrote it."""
    seeds: int = Field(1, ge=1, le=100)
    """How many small networks to train."""
    versions: tuple[int, ...] = ()
    """Of a registered model: one for each seed."""
    layers: tuple[str, ...] = ()
    """Layers to explain, the paper's first; omitted, those of the paper, or what `auto` takes."""
    preprocessing: Preprocessing | None = None
    """Omitted, what torchvision names for a file that is called as it publishes it, and for its newest weights if it is
    called otherwise; what timm names for the architecture; or what was logged with the model."""
    title: str | None = None
    """In tables and figures; omitted, its name."""

    @property
    def architecture(self) -> str | None:
        """Its name in a library; None of a registered model."""
        return self.torchvision or self.timm or self.small

    @property
    def explained(self) -> tuple[str, ...]:
        """Layers."""
        return self.layers or PAPER_LAYERS.get(self.architecture or "", (AUTO,))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version of each seed."""
        if self.versions:
            return self.versions
        return tuple(range(1, 1 + (self.seeds if self.small else len(self.weights))))

    @model_validator(mode="after")
    def _one_origin(self) -> "StudiedModel":
        origins = [name for name in ("torchvision", "timm", "small") if getattr(self, name)]
        needs = {"torchvision": "weights", "timm": "weights", "small": ""}.get(
            origins[0] if origins else "", "versions"
        )
        if len(origins) > 1:
            raise ValueError(
                f"torchvision: one of torchvision, timm and small was expected, {' and '.join(origins)} came"
            )
        if needs and not getattr(self, needs):
            of = f"{origins[0]} model" if origins else "registered model"
            raise ValueError(f"{needs}: one or more were expected for a {of}, none came")
        for name in ("weights", "versions"):
            if getattr(self, name) and name != needs:
                raise ValueError(f"{name}: nothing was expected beside {origins[0] if origins else 'versions'}")
        if self.seeds > 1 and not self.small:
            raise ValueError(
                f"seeds: nothing was expected beside {origins[0] if origins else 'versions'}, {self.seeds} came"
            )
        if self.small and self.data not in {"digits", "shapes"}:
            raise ValueError(f"data: digits or shapes was expected for a small network, {self.data} came")
        if origins and self.data is None:
            raise ValueError("data: one of the study's data sets was expected, none came")
        if len(set(self.layers)) < len(self.layers) or len(set(self.versions)) < len(self.versions):
            raise ValueError("layers: each layer and version once was expected, one came twice")
        return self


class StudySettings(Strict):
    """A study."""

    title: str = "Class sensitivity and fidelity of saliency maps"
    """Of the report."""
    data: dict[str, SplitSpec] = Field(default_factory=dict)
    """Data sets by name."""
    models: dict[str, StudiedModel] = Field(min_length=1)
    """Models by name; each has cells for its layers and seeds."""
    protocol: Annotated[ProtocolSettings, BeforeValidator(_as_in_the_paper)] = Protocol(sample_size=PAPER_IMAGES)
    """As in the configuration; the target layer is each cell's, and `sample_size`, omitted, is 1000. Its
    `diagnostics` have a table each."""

    @model_validator(mode="after")
    def _told_apart(self) -> "StudySettings":
        seen: dict[tuple[str, str | None], str] = {}
        for name, model in self.models.items():
            if model.architecture and not re.fullmatch(r"[^/:]*[^/:\s][^/:]*", name):
                raise ValueError(f"models: a name without / and :, which MLflow refuses, was expected, {name!r} came")
            shown = (model.title or name, model.data)
            if shown in seen:
                raise ValueError(
                    f"models.{name}.title: another one than that of {seen[shown]} was expected, {shown[0]!r} came"
                )
            seen[shown] = name
        return self

    @model_validator(mode="after")
    def _known_data(self) -> "StudySettings":
        for name, model in self.models.items():
            if model.small and model.data in self.data:
                raise ValueError(f"data.{model.data}: {name} is trained on the images of this name that come with it")
            if model.data is not None and model.data not in self.data and not model.small:
                known = ", ".join(self.data) or "none"
                raise ValueError(f"models.{name}.data: one of data ({known}) was expected, {model.data} came")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRef:
    """One cell: a model's version, which is a seed, explained at one layer."""

    model: str
    version: int
    layer: str

    def __str__(self) -> str:
        return f"{self.model}/{self.version} at {self.layer}"


def cells_of(study: StudySettings) -> tuple[CellRef, ...]:
    """Seed by seed, so that the first seeds of all models are there early."""
    most = max(len(model.numbers) for model in study.models.values())
    return tuple(
        CellRef(model=name, version=model.numbers[place], layer=layer)
        for place in range(most)
        for name, model in study.models.items()
        if place < len(model.numbers)
        for layer in model.explained
    )


def read_study(file: Path) -> StudySettings:
    """Read a study; its relative paths are relative to the file.

    Raises:
        ConfigError: it is missing, or not what a study is made of.
    """
    try:
        study = StudySettings.model_validate(read_fields(file, "write one (docs/study.md), or take --preset small"))
    except ValidationError as error:
        raise ConfigError(first_problems(error, file)) from None
    base = file.absolute().parent
    data = {name: anchored_split(split, base) for name, split in study.data.items()}
    models = {
        name: model.model_copy(update={"weights": tuple(base / path for path in model.weights)})
        for name, model in study.models.items()
    }
    return study.model_copy(update={"data": data, "models": models})


def study_text(study: StudySettings) -> str:
    """What `read_study` reads."""
    whole = study.model_dump(mode="json", include={"protocol"})  # its defaults are not a study's
    fields = study.model_dump(mode="json", exclude_defaults=True) | whole
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def small_study(seeds: int = 5) -> StudySettings:
    """Reduced relatives of the paper's architectures, on digits and on generated shapes."""
    titles = {"resnet": "ResNet", "vgg": "VGG", "densenet": "DenseNet", "convnext": "ConvNeXt"}
    models = {
        f"{small}-{data}": {"small": small, "data": data, "seeds": seeds, "title": title}
        for data in ("digits", "shapes")
        for small, title in titles.items()
    }
    return StudySettings.model_validate(
        {
            "title": "The paper's study on small networks",
            "models": models,
            "protocol": replace(Protocol(), sample_size=SMALL_IMAGES),
        }
    )
