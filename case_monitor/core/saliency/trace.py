"""One recorded forward pass, and the gradients of any logits with respect to the target layer's output."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.core.errors import TargetLayerError
from case_monitor.core.saliency.contrast_weights import ContrastWeights
from case_monitor.core.saliency.taps import Tap


@dataclass(slots=True)
class Trace:
    """What every method works from.

    Attributes:
        tap: runs the model again, with the layer's output changed.
        images: (B, C, H, W).
        targets: (B, T) class indices.
        activations: (B, K, h, w), A.
        logits: (B, num_classes).
        contrast: weights of the contrast sets.
    """

    tap: Tap
    images: Tensor
    targets: Tensor
    activations: Tensor
    logits: Tensor
    contrast: ContrastWeights
    _leaf: Tensor
    _graph_logits: Tensor
    _gradients: dict[str, Tensor] = field(default_factory=dict)

    @property
    def target_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of each target's logit."""
        return self._gradient("target", lambda: self._one_hot_targets())

    @property
    def contrast_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of the mean logit over V(u); zero where V(u) is empty."""
        return self._gradient("contrast", lambda: self.contrast.plain)

    @property
    def soft_contrast_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of the logit weighted by confusion over V(u)."""
        return self._gradient("soft", lambda: self.contrast.soft)

    def member_gradients(self) -> Tensor:
        """(B, T, k, K, h, w) gradient of each member's logit; zero where V(u) has fewer than k members."""
        members = self.contrast.members.to(self.logits.dtype)
        k = max(1, int(members.sum(-1).max()))
        top = members.topk(k, dim=-1)
        one_hot = F.one_hot(top.indices, members.shape[-1]) * top.values.unsqueeze(-1)
        grads = self.backward(one_hot.flatten(1, 2))
        return grads.view(*top.indices.shape, *grads.shape[2:])

    def score(self, logits: Tensor) -> Tensor:
        """(B, T) the targets' entries of logits (B, num_classes)."""
        return logits.gather(1, self.targets)

    def backward(self, cotangents: Tensor) -> Tensor:
        """Gradients with respect to A of R weighted sums of logits, in one batched backward pass.

        Args:
            cotangents: (B, R, num_classes) weights of the logits.

        Returns:
            (B, R, K, h, w).
        """
        rows = cotangents.to(self._graph_logits.dtype).transpose(0, 1).contiguous()  # (R, B, num_classes)
        try:
            grads = self._grad(rows, batched=True)
        except RuntimeError:
            # Some operators have no batching rule; the gradients themselves are the same one by one.
            grads = torch.stack([self._grad(row, batched=False) for row in rows])
        return grads.transpose(0, 1)

    def _grad(self, cotangents: Tensor, *, batched: bool) -> Tensor:
        (grads,) = torch.autograd.grad(
            self._graph_logits, self._leaf, cotangents, retain_graph=True, is_grads_batched=batched
        )
        return grads

    def _gradient(self, name: str, cotangents: Callable[[], Tensor]) -> Tensor:
        if name not in self._gradients:
            # Asked for together, target and contrast share one backward pass.
            if name in {"target", "contrast"}:
                both = self.backward(torch.cat([self._one_hot_targets(), self.contrast.plain], dim=1))
                self._gradients["target"], self._gradients["contrast"] = both.chunk(2, dim=1)
            else:
                self._gradients[name] = self.backward(cotangents())
        return self._gradients[name]

    def _one_hot_targets(self) -> Tensor:
        return F.one_hot(self.targets, self.logits.shape[1]).to(self.logits.dtype)


def record(tap: Tap, images: Tensor, targets: Tensor, contrast: Callable[[Tensor], ContrastWeights]) -> Trace:
    """Run the model once; only the part behind the target layer is recorded for gradients.

    Raises:
        TargetLayerError: the logits do not depend on the layer's output in a way that autograd sees.
    """
    leaves: list[Tensor] = []

    def cut(output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        return leaf.clone()  # an in-place operation behind the layer must not change A

    with torch.enable_grad():
        logits = tap(images, cut)
    (leaf,) = leaves
    if not logits.requires_grad:
        msg = (
            f"target layer {tap.name!r}: the logits do not depend on it (a branch that is not used, or no_grad inside)"
        )
        raise TargetLayerError(msg)
    plain = logits.detach()
    return Trace(tap, images, targets, leaf.detach(), plain, contrast(plain), leaf, logits)
