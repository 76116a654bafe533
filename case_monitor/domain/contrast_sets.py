"""V(u): the classes that each class is confused with."""

from dataclasses import dataclass
from enum import StrEnum


class ContrastSource(StrEnum):
    """Where a member of a contrast set comes from."""

    OBSERVED = "observed"
    SOFT = "soft"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastMember:
    """Class `class_idx`, confused with `target_class`; `weight` is the soft confusion P[u, v]."""

    target_class: int
    rank: int
    class_idx: int
    source: ContrastSource
    count: int
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSets:
    """V(u) of every class u, in rank order.

    `unseen` lists the classes without a validation image: their contrast is chosen per image, by the highest
    other logits. A class that is not unseen and has no member was never confused: its CASE is Grad-CAM.
    """

    contrast_k: int
    members: tuple[tuple[ContrastMember, ...], ...]
    unseen: tuple[int, ...] = ()

    def weights(self) -> dict[int, dict[int, float]]:
        """V(u) as {u: {v: M[u, v] + P[u, v]}}, without the unseen classes: what `saliency_maps` takes."""
        return {
            u: {m.class_idx: m.count + m.weight for m in members}
            for u, members in enumerate(self.members)
            if u not in self.unseen
        }
