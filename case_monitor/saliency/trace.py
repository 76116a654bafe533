"""One recorded forward pass, and the gradients of any logits with respect to the target layer's output."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency.contrast_weights import ContrastWeights
from case_monitor.saliency.cut_off import why_none
from case_monitor.saliency.forward import PLAIN, Speed
from case_monitor.saliency.gradient_modes import keeping_gradients
from case_monitor.saliency.taps import HeadRun, Tap
from case_monitor.saliency.target_layer import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How methods may run the model.

    Attributes:
        rows: images per forward pass; None finds what memory takes well.
        speed: see `Speed`.
        progress: told how much of an image a method has done since it was last told.
        with_head: also make it possible to run the part behind the layer again.
        copy: see `Tap.record`.
    """

    rows: int | None = None
    speed: Speed = PLAIN
    progress: Callable[[float], None] = lambda _: None
    with_head: bool = False
    copy: bool = False


DEFAULT_OPTIONS = Options()
_TOGETHER = (("target", "contrast"), ("pair", "mean"))  # each in one backward pass


@dataclass(slots=True)
class Trace:
    """What every method works from.

    Attributes:
        tap: runs the model again, with the layer's output changed.
        images: (B, C, H, W).
        targets: (B, T) class indices.
        output: (B, ...) what the layer returned.
        layout: how `output` becomes a grid.
        activations: (B, K, h, w) that grid, A, in float32 or float64.
        logits: (B, num_classes).
        contrast: weights of the contrast sets.
        head: runs what stands behind the layer again, where a recording was asked for and the model allows it.
        options: how methods may run the model.
    """

    tap: Tap
    images: Tensor
    targets: Tensor
    output: Tensor
    layout: Layout
    activations: Tensor
    logits: Tensor
    contrast: ContrastWeights
    head: HeadRun | None
    options: Options
    _leaf: Tensor
    _graph_logits: Tensor
    _gradients: dict[str, Tensor] = field(default_factory=dict)
    _uncentred: "Trace | None" = None

    def centred(self) -> "Trace":
        """The same pass of the same model, with each logit less the mean of all.

        What is added to every logit alike changes no decision and, of these, no gradient. Gradients are those that the
        trace has, less that of the mean.
        """
        return replace(self, logits=self.logits - self.logits.mean(1, keepdim=True), _uncentred=self)

    @property
    def target_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of each target's logit."""
        return self._gradient("target")

    @property
    def contrast_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of the mean logit over V(u); zero where V(u) is empty."""
        return self._gradient("contrast")

    @property
    def soft_contrast_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of the logit weighted by confusion over V(u)."""
        return self._gradient("soft")

    @property
    def log_probability_gradients(self) -> Tensor:
        """(B, T, K, h, w) gradient of the logarithm of each target's softmax probability."""
        return self._gradient("log probability")

    @property
    def pair_gradients(self) -> Tensor:
        """(B, 1, K, h, w) gradient of the first target's logit less the second's."""
        return self._gradient("pair")

    @property
    def mean_gradients(self) -> Tensor:
        """(B, 1, K, h, w) gradient of the mean of all logits."""
        return self._gradient("mean")

    def pooled_member_gradients(self) -> Tensor:
        """(B, T, k, K) spatial mean of the gradient of each member's logit; zero where V(u) has fewer than k.

        One member after the other, so that memory does not grow with k.
        """
        if self._uncentred is not None:
            present = torch.arange(self._most_members, device=self.logits.device) < self.contrast.members.sum(
                -1, keepdim=True
            )
            shared = self._uncentred.mean_gradients.mean((-2, -1)).unsqueeze(2)  # (B, 1, 1, K)
            return self._uncentred.pooled_member_gradients() - present.unsqueeze(-1) * shared
        if "members" not in self._gradients:
            self._gradients["members"] = self._member_gradients()
        return self._gradients["members"]

    @property
    def _most_members(self) -> int:
        return max(1, int(self.contrast.members.sum(-1).max()))

    def _member_gradients(self) -> Tensor:
        members = self.contrast.members.to(self.logits.dtype)
        k = self._most_members
        top = members.topk(k, dim=-1)
        one_hot = F.one_hot(top.indices, members.shape[-1]) * top.values.unsqueeze(-1)  # (B, T, k, num_classes)
        return torch.stack([self.backward(one_hot[:, :, j]).mean((-2, -1)) for j in range(k)], dim=2)

    def score(self, logits: Tensor) -> Tensor:
        """(B, T) the targets' entries of logits (B, num_classes)."""
        return logits.gather(1, self.targets)

    def backward(self, cotangents: Tensor) -> Tensor:
        """Gradients with respect to A of R weighted sums of logits, in one batched backward pass.

        Args:
            cotangents: (B, R, num_classes) weights of the logits.

        Returns:
            (B, R, K, h, w).

        Raises:
            TargetLayerError: the logits do not depend on the layer's output in a way that autograd sees.
        """
        if not self._graph_logits.requires_grad:
            msg = (
                f"target layer {self.tap.name!r}: the logits have no gradient there; {why_none(self.tap, self.images)}"
            )
            raise TargetLayerError(msg)
        rows = cotangents.to(self._graph_logits.dtype).transpose(0, 1).contiguous()  # (R, B, num_classes)
        try:
            grads = self._grad(rows, batched=True)
        except RuntimeError:
            # Some operators have no batching rule; the gradients themselves are the same one by one.
            grads = torch.stack([self._grad(row, batched=False) for row in rows])
        on_grid = self.layout.to_grid(grads.flatten(0, 1)).to(self.activations.dtype)
        return torch.unflatten(on_grid, 0, grads.shape[:2]).transpose(0, 1)

    def _grad(self, cotangents: Tensor, *, batched: bool) -> Tensor:
        (grads,) = torch.autograd.grad(
            self._graph_logits, self._leaf, cotangents, retain_graph=True, is_grads_batched=batched
        )
        return grads

    def _gradient(self, name: str) -> Tensor:
        if self._uncentred is not None:
            share = self._cotangents(name).sum(-1).to(self.activations.dtype)[..., None, None, None]  # of the mean
            return self._uncentred._gradient(name) - share * self._uncentred.mean_gradients
        if name not in self._gradients:
            together = next((names for names in _TOGETHER if name in names), (name,))
            rows = [self._cotangents(each) for each in together]
            found = torch.split(self.backward(torch.cat(rows, dim=1)), [row.shape[1] for row in rows], dim=1)
            self._gradients |= zip(together, found, strict=True)
        return self._gradients[name]

    def _cotangents(self, name: str) -> Tensor:
        """(B, R, num_classes) the weights of the logits whose gradients go by that name."""
        if name == "pair":
            one_hot = self._one_hot_targets()
            return one_hot[:, :1] - one_hot[:, 1:2]
        if name == "log probability":
            return self._one_hot_targets() - self.logits.softmax(1).unsqueeze(1)
        if name == "mean":
            return torch.full_like(self.logits, 1 / self.logits.shape[1]).unsqueeze(1)
        if name == "target":
            return self._one_hot_targets()
        return self.contrast.plain if name == "contrast" else self.contrast.soft

    def _one_hot_targets(self) -> Tensor:
        return F.one_hot(self.targets, self.logits.shape[1]).to(self.logits.dtype)


def record(
    tap: Tap,
    images: Tensor,
    targets: Tensor,
    contrast: Callable[[Tensor], ContrastWeights],
    options: Options = DEFAULT_OPTIONS,
) -> Trace:
    """Run the model once; only the part behind the target layer is recorded for gradients.

    Args:
        tap: the model, tapped at the layer.
        images: (B, C, H, W).
        targets: (B, T) class indices.
        contrast: contrast sets, given the logits.
        options: how methods may run the model.
    """
    leaves: list[Tensor] = []

    def cut(output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        with torch.enable_grad():  # also where the layer itself runs without gradients
            return leaf.clone()  # an in-place operation behind the layer must not change A

    def run() -> tuple[Tensor, HeadRun | None]:
        given = images.clone()  # which the model may change in place
        return tap.record(given, cut, copy=options.copy) if options.with_head else (tap(given, cut), None)

    with torch.enable_grad():
        logits, head = run()
    if not logits.requires_grad:
        with keeping_gradients():
            logits, head = run()
    output = leaves[-1].detach()
    layout = tap.layout(output, images)
    activations = layout.to_grid(output)
    if activations.dtype in {torch.float16, torch.bfloat16}:
        activations = activations.float()  # sums over channels and places need the digits
    plain = logits.detach()
    return Trace(
        tap, images, targets, output, layout, activations, plain, contrast(plain), head, options, leaves[-1], logits
    )
