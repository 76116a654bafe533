"""Contrast sets as weights over logits, so that a mean of gradients is the gradient of one weighted logit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ContrastSetsLike = Mapping[int, Sequence[int] | Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class ContrastWeights:
    """Per image and target: which classes are contrasted.

    Attributes:
        soft: (B, T, C) weights that sum to 1 over V(u), or all 0 where V(u) is empty.
    """

    soft: Tensor

    @property
    def plain(self) -> Tensor:
        """(B, T, C) weights of the plain mean: 1 / |V(u)| for every member."""
        member = (self.soft > 0).to(self.soft.dtype)
        return member / member.sum(-1, keepdim=True).clamp(min=1)

    @classmethod
    def build(
        cls, logits: Tensor, targets: Tensor, contrast_sets: ContrastSetsLike | None, contrast_k: int
    ) -> "ContrastWeights":
        """Weights from contrast sets; a target class without an entry falls back to the highest other logits."""
        num_classes = logits.shape[1]
        table: dict[int, Tensor] = {}
        rows = []
        for image_logits, image_targets in zip(logits, targets.tolist(), strict=True):
            for u in image_targets:
                if contrast_sets is not None and u in contrast_sets:
                    row = table.get(u)
                    if row is None:
                        row = table[u] = _weights(contrast_sets[u], num_classes, logits)
                else:
                    row = _highest_others(image_logits, u, contrast_k)
                rows.append(row)
        return cls(soft=torch.stack(rows).view(*targets.shape, num_classes))


def _weights(members: Sequence[int] | Mapping[int, float], num_classes: int, like: Tensor) -> Tensor:
    row = like.new_zeros(num_classes)
    for v in members:
        row[v] = members[v] if isinstance(members, Mapping) else 1.0
    return row / row.sum().clamp(min=torch.finfo(row.dtype).tiny)


def _highest_others(logits: Tensor, u: int, k: int) -> Tensor:
    others = logits.clone()
    others[u] = float("-inf")
    row = torch.zeros_like(logits)
    row[others.topk(min(k, len(logits) - 1)).indices] = 1.0
    return row / row.sum().clamp(min=1)
