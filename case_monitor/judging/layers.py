"""Which layers a version is judged at, and what is said about them.

The maps of one network tell classes apart at one layer and not at another. So the layer is not the author's to choose:
one that the model's metadata names is judged beside the one that `auto` finds, and the worse verdict counts, unless the
team's own configuration names the layer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from case_monitor.domain.errors import TargetLayerError
from case_monitor.domain.evaluation import LayerSource
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import Verdict

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A layer to judge a version at, and who named it."""

    layer: str
    source: LayerSource


def looks(configured: str, declared: str | None, find: Callable[[], str]) -> tuple[Look, ...]:
    """The layers to judge a version at, the one to prefer first; `auto` is found where it is looked at.

    Args:
        configured: of the protocol; `auto` leaves the choice open.
        declared: by the model's metadata, if it is.
        find: finds the layer that `auto` stands for, to tell it from the declared one.

    Raises:
        TargetLayerError: the model's author names a layer, and there is none to judge beside it.

    Example:
        >>> [look.layer for look in looks("auto", "features.2", lambda: "features.8")]
        ['features.2', 'features.8']
        >>> [look.layer for look in looks("stem", "features.2", lambda: "features.8")]
        ['stem']
    """
    if configured != AUTO:
        return (Look(layer=configured, source=LayerSource.CONFIGURATION),)
    if not declared or declared == AUTO:
        return (Look(layer=AUTO, source=LayerSource.AUTO),)
    try:
        found = find()
    except TargetLayerError as error:
        msg = (
            f"{error}; the model's metadata names {declared}, which is its author's choice: to judge the version "
            f"there, set protocol.target_layer: {declared} for this model in the configuration"
        )
        raise TargetLayerError(msg) from None
    own = Look(layer=declared, source=LayerSource.METADATA)
    return (own,) if found == declared else (own, Look(layer=found, source=LayerSource.AUTO))


_WORSE = {Status.PASS: 0, Status.INSUFFICIENT: 1, Status.FAIL: 2}
_NAMED_BY = {
    LayerSource.AUTO: "which auto finds",
    LayerSource.CONFIGURATION: "which the configuration names",
    LayerSource.METADATA: "which the model's metadata and auto both name",
}


def worse_of(verdicts: list[Verdict]) -> int:
    """The place of the verdict that counts: the worst, the first of equal ones."""
    return max(range(len(verdicts)), key=lambda place: _WORSE[verdicts[place].status])


def layer_notes(
    taken: tuple[Look, ...], layers: list[str], verdicts: list[Verdict], chosen: int, production: tuple[str, str] | None
) -> tuple[str, ...]:
    """What is said of the layers, with the verdict.

    Args:
        taken: the looks.
        layers: that were explained at each.
        verdicts: of each.
        chosen: the place of the one that counts.
        production: the version in production, in words, and the layer that its maps are of.
    """
    notes = [f"The maps are of layer {layers[chosen]}, {_NAMED_BY[taken[chosen].source]}."]
    if len(taken) > 1:
        said = ", ".join(f"{layer}: {verdict.status}" for layer, verdict in zip(layers, verdicts, strict=True))
        notes = [
            f"The model's metadata names layer {layers[0]}, auto finds {layers[1]}. Both were judged ({said}), and the "
            f"worse counts: the maps are of layer {layers[chosen]}. To judge {layers[0]} alone, name it in the "
            "configuration (protocol.target_layer)."
        ]
    if production is not None and production[1] != layers[chosen]:
        notes.append(f"The maps of {production[0]}, in production, are of another layer: {production[1]}.")
    return tuple(notes)
