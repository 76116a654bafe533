"""Contrast sets: the classes that each class is confused with."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select

from case_monitor.domain.contrast_sets import ContrastMember, ContrastSets, ContrastSource
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import parts_of, required, some_values_of, values_of
from case_monitor.store.tables import ContrastMemberRow

_NAMES = ("target_class", "rank", "class_idx", "source", "count", "weight")


def load_contrast_sets(engine: Engine, evaluation_id: int) -> ContrastSets:
    """The contrast sets as they were saved.

    Raises:
        StoreError: there is no such evaluation.
    """
    with reading(engine) as connection:
        evaluation = required(connection, evaluation_id)
        found = map(_member, values_of(connection, _query(evaluation_id)))
        members: list[list[ContrastMember]] = [[] for _ in evaluation["class_names"]]
        for member in found:
            members[member.target_class].append(member)
    return ContrastSets(
        contrast_k=evaluation["contrast_k"],
        members=tuple(map(tuple, members)),
        unseen=tuple(evaluation["unseen_classes"]),
    )


def read_contrast(engine: Engine, evaluation_id: int, classes: Collection[int]) -> tuple[ContrastMember, ...]:
    """The contrast sets of these classes, each in the order of its ranks."""
    with reading(engine) as connection:
        return members_of(connection, evaluation_id, classes)


def members_of(connection: Connection, evaluation_id: int, classes: Collection[int]) -> tuple[ContrastMember, ...]:
    """The same, by a connection."""
    query = _query(evaluation_id, ContrastMemberRow.target_class.in_(classes))
    return tuple(map(_member, values_of(connection, query)))


def some_members(
    engine: Engine, evaluation_id: int, limit: int | None, offset: int
) -> tuple[tuple[ContrastMember, ...], int]:
    """Some of all members, and how many there are in all."""
    rows, total = some_values_of(engine, _query(evaluation_id), limit, offset)
    return tuple(map(_member, rows)), total


def _query(evaluation_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    return parts_of(evaluation_id, ContrastMemberRow, _NAMES, *conditions)


def _member(row: dict[str, Any]) -> ContrastMember:
    return ContrastMember(**{**row, "source": ContrastSource(row["source"])})
