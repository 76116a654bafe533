"""Contrast sets as weights over logits, so that a mean of gradients is the gradient of one weighted logit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from case_monitor.domain.errors import ConfigError

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
        sets = contrast_sets or {}
        num_classes = logits.shape[1]
        classes = sorted(set(targets.flatten().tolist()))
        _check_classes(classes, sets, num_classes)
        weights = _highest_others(logits, targets, contrast_k)  # (B, T, C)
        for u in classes:
            if u in sets:
                weights[targets == u] = _row(sets[u], num_classes).to(weights)
        return cls(members=~weights.isnan(), confusion=weights.nan_to_num())


def _row(chosen: Sequence[int] | Mapping[int, float], num_classes: int) -> Tensor:
    """(C,) the weight of every member, NaN for the other classes."""
    row = torch.full((num_classes,), torch.nan, dtype=torch.float64)
    members = list(chosen)
    weights = [float(chosen[v]) for v in members] if isinstance(chosen, Mapping) else [1.0] * len(members)
    row[torch.tensor(members, dtype=torch.int64)] = torch.tensor(weights, dtype=torch.float64)
    return row


def _highest_others(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    """(B, T, C) 1 for the k classes beside the target that have the highest logits, NaN for the others."""
    others = logits.double().unsqueeze(1).repeat(1, targets.shape[1], 1)
    others.scatter_(2, targets.unsqueeze(-1), -torch.inf)
    chosen = others.topk(min(k, logits.shape[1] - 1), dim=-1).indices
    return torch.full_like(others, torch.nan).scatter_(2, chosen, 1.0)


def _check_classes(classes: list[int], contrast_sets: ContrastSetsLike, num_classes: int) -> None:
    known = range(num_classes)
    wrong = [u for u in classes if u not in known]
    if wrong:
        msg = f"targets: class indices below {num_classes} were expected, {wrong[0]} came"
        raise ConfigError(msg)
    strange = [u for u in contrast_sets if u not in known]
    if strange:
        msg = f"contrast_sets: class indices below {num_classes} were expected, {strange[0]} came"
        raise ConfigError(msg)
    for u, members in contrast_sets.items():
        foreign = [v for v in members if v not in known or v == u]
        if foreign:
            msg = f"contrast set of class {u}: other classes below {num_classes} were expected, {foreign[0]} came"
            raise ConfigError(msg)
