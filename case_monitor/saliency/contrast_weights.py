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
        cls,
        logits: Tensor,
        targets: Tensor,
        contrast_sets: ContrastSetsLike | None,
        contrast_k: int,
        excluded: Tensor | None = None,
    ) -> "ContrastWeights":
        """Weights from contrast sets; a target class without an entry falls back to the highest other logits.

        So does an image that is of all classes in the set: those that are `excluded` (B, C) are contrasted with none.

        Raises:
            ConfigError: a class that the model does not have, or one in its own contrast set.
        """
        sets = contrast_sets or {}
        num_classes = logits.shape[1]
        classes = sorted(set(targets.flatten().tolist()))
        _check_classes(classes, sets, num_classes)
        if excluded is not None and excluded.shape[1] != num_classes:
            raise ConfigError(
                f"excluded: {num_classes} columns, one for each class, were expected, {excluded.shape[1]} came"
            )
        fallback = _highest_others(logits, targets, contrast_k, excluded)  # (B, T, C)
        weights = fallback.clone()
        for u in classes:
            if u in sets:
                weights[targets == u] = _row(sets[u], num_classes).to(weights)
        if excluded is not None:
            had_members = ~weights.isnan().all(-1)
            weights.masked_fill_(excluded.unsqueeze(1), torch.nan)
            bare = had_members & weights.isnan().all(-1)
            weights[bare] = fallback[bare]
        return cls(members=~weights.isnan(), confusion=weights.nan_to_num())


def _row(chosen: Sequence[int] | Mapping[int, float], num_classes: int) -> Tensor:
    """(C,) the weight of every member, NaN for the other classes."""
    row = torch.full((num_classes,), torch.nan, dtype=torch.float64)
    members = list(chosen)
    weights = [float(chosen[v]) for v in members] if isinstance(chosen, Mapping) else [1.0] * len(members)
    row[torch.tensor(members, dtype=torch.int64)] = torch.tensor(weights, dtype=torch.float64)
    return row


def _highest_others(logits: Tensor, targets: Tensor, k: int, excluded: Tensor | None) -> Tensor:
    """(B, T, C) 1 for the k classes beside the target that have the highest logits, NaN for the others."""
    others = logits.double().unsqueeze(1).repeat(1, targets.shape[1], 1)
    none_of = torch.zeros_like(others, dtype=torch.bool).scatter_(2, targets.unsqueeze(-1), True)
    if excluded is not None:
        none_of |= excluded.unsqueeze(1)
    chosen = others.masked_fill(none_of, -torch.inf).topk(min(k, logits.shape[1] - 1), dim=-1).indices
    return torch.full_like(others, torch.nan).scatter_(2, chosen, 1.0).masked_fill_(none_of, torch.nan)


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
