"""All channels' ablated logits by one matrix product, where the head lets no channel touch another before a Linear.

Let z be the input of the first Linear behind the layer. If with the channels in any set S at 0 z is where(S, z0, z),
with z0 that of all channels at 0, then setting channel k to 0 adds W[:, block k] (z0 - z)_k to what the Linear
returns, whatever its other inputs. Pooling, ReLU and flattening are separable in this sense; normalisation over
channels and attention are not. What stands behind the Linear is replayed on its K outputs.
"""

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from case_monitor.saliency.heads import agree, random_channels, without_channels
from case_monitor.saliency.methods.channel_drops import ChannelDrops
from case_monitor.saliency.module_tap import ModuleHead
from case_monitor.saliency.replay import FAILURES, record_replay
from case_monitor.saliency.taps import HeadRun
from case_monitor.saliency.trace import Trace

_log = logging.getLogger(__name__)


@torch.no_grad()
def separable_drops(trace: Trace, head: HeadRun, rows: int) -> ChannelDrops | None:
    """By how much logits fall when a channel is set to 0; None where the shortcut fails.

    Whether it applies is checked on this very batch, and what comes out against the head itself.

    Args:
        trace: the recorded pass.
        head: runs the part behind the layer.
        rows: how many rows to run at once.
    """
    if not isinstance(head, ModuleHead):
        return None
    try:
        shortcut = _find_shortcut(trace, head)
        drops = shortcut.drops(trace, rows) if shortcut else None
    except FAILURES as error:
        _log.debug("target layer %r: no shortcut behind it: %s", trace.tap.name, error)
        return None
    if drops is None or not _agrees(trace, head, drops):
        _log.debug("target layer %r: no shortcut behind it: its channels meet before a Linear", trace.tap.name)
        return None
    return drops


@dataclass(frozen=True, slots=True)
class _Shortcut:
    """A Linear (O outputs) in which the channels meet first.

    Attributes:
        weight: (O, K, m) its weight, by channel.
        change: (B, K, m) what its input changes by when channel k is set to 0: (z0 - z) by channel.
        output: (B, O) what it returns.
        behind: runs what stands behind it; None where it returns the logits.
    """

    weight: Tensor
    change: Tensor
    output: Tensor
    behind: ModuleHead | None

    def drops(self, trace: Trace, rows: int) -> ChannelDrops:
        if self.behind is None:
            return ChannelDrops(
                of_targets=-torch.einsum("btkm,bkm->btk", self.weight[trace.targets], self.change),
                of_mean=-torch.einsum("km,bkm->bk", self.weight.mean(0), self.change).unsqueeze(1),
            )
        drops = ChannelDrops.none(trace)
        for channels in torch.split(torch.arange(self.change.shape[1], device=trace.logits.device), rows):
            product = torch.einsum("okm,bkm->bko", self.weight[:, channels], self.change[:, channels])
            for i, outputs in enumerate(self.output.unsqueeze(1) + product):  # (n, O)
                drops.put(trace, i, channels, self.behind(outputs, i))
        return drops


def _find_shortcut(trace: Trace, head: ModuleHead) -> _Shortcut | None:
    seen: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def is_first_linear(module: nn.Module, args: tuple[Any, ...], output: Any) -> bool:
        if head.replay.running or type(module) is not nn.Linear or args[0].ndim != 2:
            return False
        seen.append((module, args[0].clone(), output.clone()))
        return True

    returned, replay = record_replay(
        trace.tap.model, trace.images, is_first_linear, lambda: head.replay(trace.output.clone(), None, head.key)
    )
    channels = trace.activations.shape[1]
    if replay is None or seen[0][1].shape[1] % channels:
        return None
    linear, z, output = seen[0]
    half = random_channels(trace)
    without_half = torch.cat([without_channels(trace, i, half[None]) for i in range(len(z))])
    z0 = _linear_input(head, linear, torch.zeros_like(trace.output))
    expected = torch.where(half.repeat_interleave(z.shape[1] // channels), z0, z)
    if not agree(_linear_input(head, linear, without_half), expected):
        return None
    behind = ModuleHead(replay, None, head.outputs)
    logits = head.outputs.logits(returned, len(z))
    return _Shortcut(
        weight=torch.unflatten(linear.weight.detach(), 1, (channels, -1)),
        change=torch.unflatten(z0 - z, 1, (channels, -1)),
        output=output,
        behind=None if torch.equal(logits, output) else behind,
    )


def _linear_input(head: ModuleHead, linear: nn.Linear, rows: Tensor) -> Tensor:
    """(B, D) what reaches the Linear when the layer returns `rows`."""
    seen: list[Tensor] = []

    def look(_module: nn.Module, args: tuple[Any, ...]) -> None:
        if not head.replay.running:
            seen.append(args[0].clone())

    handle = linear.register_forward_pre_hook(look)
    try:
        head(rows, None)
    finally:
        handle.remove()
    return seen[0]


def _agrees(trace: Trace, head: HeadRun, found: ChannelDrops) -> bool:
    """Whether the head itself gives the same for the channel that matters most, and for one in the middle."""
    drops, image = found.of_targets, len(found.of_targets) - 1
    order = drops[image].abs().amax(0).argsort(descending=True)
    channels = order[[0, len(order) // 2]]
    classes = trace.targets[image]
    logits = head(without_channels(trace, image, channels), image)[:, classes]  # (2, T)
    expected = trace.logits[image, classes] - logits
    tolerance = 1e-2 * expected.abs().max() + 1e-5 * trace.logits[image].abs().max()
    return bool(((drops[image][:, channels].T - expected).abs() <= tolerance).all())
