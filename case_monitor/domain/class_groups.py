"""Classes that a model tells apart and whoever judges it does not: several of them count as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from case_monitor.domain.errors import DataError

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassGroups:
    """How the C classes of a model count as fewer.

    Attributes:
        names: of these, in the order in which the class map names them first, whatever the model's order is.
        groups: (C,) for each class of the model, as which of them it counts.
    """

    names: tuple[str, ...]
    groups: tuple[int, ...]


def group_classes(class_names: Sequence[str], class_map: Mapping[str, str]) -> ClassGroups:
    """Bring a class map into a model's order.

    Args:
        class_names: (C,) the model's, in the order of its logits.
        class_map: the name of each of them, and of the class that it counts as; it may name others.

    Raises:
        DataError: it does not name all of them, or leaves a single class.
    """
    unknown = [name for name in class_names if name not in class_map]
    if unknown:
        more = ", ..." if len(unknown) > _NAMED else ""
        shown = ", ".join(map(repr, unknown[:_NAMED])) + more
        msg = (
            f"class_map: all {len(class_names)} classes of the model were expected, {len(unknown)} are missing: {shown}"
        )
        raise DataError(msg)
    used = {class_map[name] for name in class_names}
    names = tuple(dict.fromkeys(name for name in class_map.values() if name in used))
    if len(names) < 2:
        raise DataError(f"class_map: two or more classes were expected to be left, only {names[0]!r} is")
    return ClassGroups(names=names, groups=tuple(names.index(class_map[name]) for name in class_names))


def counts_as(name: str, class_map: Mapping[str, str]) -> str | None:
    """As which class an image counts whose own class has this name: one of the model, or one of the fewer.

    None: it is neither.

    Raises:
        DataError: it is both, and not the same.
    """
    coarse = class_map.get(name)
    if coarse is not None and coarse != name and name in class_map.values():
        msg = f"class_map: {name!r} is a class of the model that counts as {coarse!r}, and one that others count as"
        raise DataError(f"{msg}; images of that name could be either")
    return name if coarse is None and name in class_map.values() else coarse
