"""The maps that contrastive deletion and position are asked of, from the pass that all other maps are of."""

import torch
from torch import Tensor

from case_monitor.domain.methods import METHODS as CATALOGUE
from case_monitor.saliency.maps import METHODS
from case_monitor.saliency.methods.weighting import pooled
from case_monitor.saliency.trace import Trace

PAIR, SHOWN, PLACE = "pair", "shown", "place"
"""Names of the maps: of one class against the other, of the method that people are shown, and of where it looks."""

_CONTRASTING = frozenset(method for method in METHODS if method.partition("_")[0] == "case")


def evidence_maps(trace: Trace, shown: str) -> dict[str, Tensor]:
    """Maps of the first two targets u and v, for one backward pass beside those of the methods.

    What all logits share is no evidence for one of them: except for the pair, where it falls out by itself, gradients
    are of centred logits (s_c - mean s).

    Args:
        trace: the recorded pass, with targets (B, 2).
        shown: the method that people are shown.

    Returns:
        `pair` (B, 1, h, w) = sum_k (g_u - g_v)_k A_k, positive where u is seen and negative where v is; `place`
        (B, 1, h, w), centred Grad-CAM of u; and `shown` (B, 2, h, w), the method's maps, where it takes gradients; of
        others see `saliency_maps`.
    """
    centred = trace.centred()
    maps = {
        PAIR: _weighted(pooled(trace.pair_gradients), trace.activations),
        PLACE: METHODS["gradcam"](centred)[:, :1],
    }
    if CATALOGUE[shown].by_gradients:
        maps[SHOWN] = _shown(trace, centred, shown)
    return maps


def _weighted(weights: Tensor, activations: Tensor) -> Tensor:
    """(B, T, K), (B, K, h, w) -> (B, T, h, w) of either sign."""
    return torch.einsum("btk,bkhw->bthw", weights, activations)


def _shown(trace: Trace, centred: Trace, method: str) -> Tensor:
    """Of centred logits, unless CASE contrasts u or v with all other classes.

    The centred g_u would then be a multiple of the centred g, and nothing would be left of it.
    """
    maps = METHODS[method](centred)
    if method not in _CONTRASTING:
        return maps
    all_others = trace.contrast.members.sum(-1).amax(1) >= trace.logits.shape[1] - 1  # (B,)
    if not all_others.any():
        return maps
    return torch.where(all_others.view(-1, 1, 1, 1), METHODS[method](trace), maps)
