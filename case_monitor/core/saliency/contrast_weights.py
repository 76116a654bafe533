"""Contrast sets as weights over logits, so that a mean of gradients is the gradient of one weighted logit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from case_monitor.core.errors import ConfigError

ContrastSetsLike = Mapping[int, Sequence[int] | Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class ContrastWeights:
    """Per image and target: which classes are contrasted.

    Attributes:
        members: (B, T, C) bool, the classes in V(u).
        confusion: (B, T, C) their weights, up to scale; 0 for a member that an overconfident model rules out.
    """

    members: Tensor
    confusion: Tensor

    @property
    def plain(self) -> Tensor:
        """(B, T, C) weights of the plain mean: 1 / |V(u)| for every member."""
        member = self.members.double()
        return member / member.sum(-1, keepdim=True).clamp(min=1)

    @property
    def soft(self) -> Tensor:
        """(B, T, C) weights that sum to 1 over V(u); the plain mean where none of them was confused with u at all."""
        total = self.confusion.sum(-1, keepdim=True)
        return torch.where(total > 0, self.confusion / total, self.plain)

    @classmethod
    def build(
        cls, logits: Tensor, targets: Tensor, contrast_sets: ContrastSetsLike | None, contrast_k: int
    ) -> "ContrastWeights":
        """Weights from contrast sets; a target class without an entry falls back to the highest other logits.

        Raises:
            ConfigError: a class that the model does not have, or one in its own contrast set.
        """
        _check_classes(targets, contrast_sets or {}, logits.shape[1])
        shape = (*targets.shape, logits.shape[1])
        members = torch.zeros(shape, dtype=torch.bool)
        confusion = torch.zeros(shape, dtype=torch.float64)
        for i, image_targets in enumerate(targets.tolist()):
            for t, u in enumerate(image_targets):
                if contrast_sets is not None and u in contrast_sets:
                    chosen = contrast_sets[u]
                else:
                    chosen = _highest_others(logits[i], u, contrast_k)
                for v in chosen:
                    members[i, t, v] = True
                    confusion[i, t, v] = chosen[v] if isinstance(chosen, Mapping) else 1.0
        return cls(members=members.to(logits.device), confusion=confusion.to(logits.device))


def _check_classes(targets: Tensor, contrast_sets: ContrastSetsLike, num_classes: int) -> None:
    known = set(range(num_classes))
    wrong = [u for u in targets.flatten().tolist() if u not in known]
    if wrong:
        msg = f"targets: class indices below {num_classes} were expected, {wrong[0]} came"
        raise ConfigError(msg)
    for u, members in contrast_sets.items():
        foreign = [v for v in members if v not in known - {u}]
        if foreign:
            msg = f"contrast set of class {u}: other classes below {num_classes} were expected, {foreign[0]} came"
            raise ConfigError(msg)


def _highest_others(logits: Tensor, u: int, k: int) -> list[int]:
    others = logits.clone()
    others[u] = float("-inf")
    return [int(v) for v in others.topk(min(k, len(logits) - 1)).indices]
