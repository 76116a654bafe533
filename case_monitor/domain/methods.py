"""The catalogue of saliency methods: one row for each. A method is its row here, and its formula in `saliency`."""

from dataclasses import dataclass
from enum import StrEnum

from case_monitor.domain.protocol import Protocol


class Cost(StrEnum):
    """What maps of an image cost: one forward and one short backward pass, or a pass for every channel or window."""

    GRADIENTS = "gradients"
    PASSES = "passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A saliency method.

    Attributes:
        name: in configurations and tables.
        title: as its authors write it.
        cost: of its maps, as the number of channels grows.
        ink: its colour on white paper.
        light, dark: its colours on light and on dark pages.
        marker: Plotly's name of its mark in charts, since colour alone tells nothing to some.
        own_pair: it makes the map of one class against the other as well, where it is shown; for others the layer does.
    """

    name: str
    title: str
    cost: Cost = Cost.GRADIENTS
    ink: str
    light: str
    dark: str
    marker: str
    own_pair: bool = False

    @property
    def by_gradients(self) -> bool:
        """Whether its maps cost the same however many channels there are."""
        return self.cost is Cost.GRADIENTS


# Okabe and Ito's palette, safe for colour-blind readers: darker where white would hide it, lighter on dark ground.
_ROWS = (
    Method(name="case", title="CASE", ink="#0072B2", light="#0072b2", dark="#4da8e0", marker="circle"),
    Method(
        name="case_full",
        title="CASE (full gradient)",
        ink="#003F66",
        light="#003f66",
        dark="#8ec4ea",
        marker="square",
    ),
    Method(name="case_soft", title="CASE (soft)", ink="#4D9BD1", light="#4d9bd1", dark="#2f86bf", marker="diamond"),
    Method(
        name="case_subspace",
        title="CASE (subspace)",
        ink="#7A6FB0",
        light="#7a6fb0",
        dark="#a89fdc",
        marker="triangle-up",
    ),
    Method(name="gradcam", title="Grad-CAM", ink="#E69F00", light="#c98a00", dark="#f0b23a", marker="cross"),
    Method(
        name="gradcam_log",
        title="Grad-CAM (log-probability)",
        ink="#B07A00",
        light="#9a6b00",
        dark="#ffd27a",
        marker="octagon",
    ),
    Method(name="finercam", title="Finer-CAM", ink="#8C2D04", light="#8c2d04", dark="#ff9d70", marker="bowtie"),
    Method(name="gradcam++", title="Grad-CAM++", ink="#D55E00", light="#d55e00", dark="#f0803c", marker="x"),
    Method(name="layercam", title="LayerCAM", ink="#56B4E9", light="#3a9bd0", dark="#8fd0f4", marker="triangle-down"),
    Method(name="hirescam", title="HiResCAM", ink="#A89600", light="#8a7b00", dark="#cabb3f", marker="star"),
    Method(
        name="scorecam",
        title="Score-CAM",
        cost=Cost.PASSES,
        ink="#009E73",
        light="#009e73",
        dark="#2fc79c",
        marker="hexagon",
    ),
    Method(
        name="ablationcam",
        title="Ablation-CAM",
        cost=Cost.PASSES,
        ink="#CC79A7",
        light="#c0609a",
        dark="#e39ac6",
        marker="pentagon",
    ),
    Method(
        name="reciprocam",
        title="Recipro-CAM",
        cost=Cost.PASSES,
        ink="#5B8C00",
        light="#4f7a00",
        dark="#a6d34d",
        marker="hexagram",
    ),
    Method(
        name="occlusion",
        title="Occlusion",
        cost=Cost.PASSES,
        ink="#6B6B6B",
        light="#6b6b6b",
        dark="#b5b5b5",
        marker="star-diamond",
        own_pair=True,
    ),
)

METHODS = {method.name: method for method in _ROWS}


def method_title(method: str) -> str:
    """The method's name as its authors write it."""
    return METHODS[method].title if method in METHODS else method


def has_own_pair(method: str | None) -> bool:
    """Whether the maps of one class against the other are the method's own, where it is shown."""
    return method in METHODS and METHODS[method].own_pair


def same_pair(first: str | None, second: str | None) -> bool:
    """Whether figures of one class against the other, with these methods shown, are of the same kind of map."""
    return first == second or not (has_own_pair(first) or has_own_pair(second))


def drift_methods(protocol: Protocol) -> tuple[str, ...]:
    """The methods whose maps two versions are compared by: those that cost one forward pass."""
    return tuple(method for method in protocol.methods if METHODS[method].by_gradients)
