"""Class-token transformers whose evidence is at a known place: `auto` finds the layer at which it is, and maps show it.

Attention lets any token carry what another one saw, and layer norm makes an empty patch as loud as one that shows
something. The place of the evidence is known only where neither happens: these transformers have attention in the last
block alone, and no layer norm. In others the maps of a layer may be anywhere (docs/saliency.md).
"""

import pytest
import torch
import torch.nn.functional as F
from timm.layers import set_fused_attn
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from case_monitor.saliency import find_target_layer, saliency_maps

SIDE, SQUARE, PATCH = 32, 8, 4
CHANCE = SQUARE**2 / SIDE**2
TOP = 51  # 5% of the pixels
PREFIXES = (1, 2, 5)


def _squares(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 1, 32, 32) of nothing but a square of stripes, checks or a disc; their class; the square."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SQUARE), torch.arange(SQUARE), indexing="ij")
    disc = (x - 3.5) ** 2 + (y - 3.5) ** 2 < 9
    patterns = torch.stack([x // 2 % 2, y // 2 % 2, (x // 2 + y // 2) % 2, disc.long()]).float() * 3 - 1.5
    target = torch.randint(0, len(patterns), (count,), generator=random)
    corners = (PATCH * torch.randint(0, (SIDE - SQUARE) // PATCH + 1, (count, 2), generator=random)).tolist()
    images = 0.02 * torch.randn(count, 1, SIDE, SIDE, generator=random)
    where = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for i, (top, left) in enumerate(corners):
        images[i, 0, top : top + SQUARE, left : left + SQUARE] += patterns[target[i]]
        where[i, top : top + SQUARE, left : left + SQUARE] = True
    return images, target, where


def _transformer(prefix: int) -> VisionTransformer:
    """With so many tokens before the grid's; patches see each other in the last block alone."""
    torch.manual_seed(1)
    sizes = {"img_size": SIDE, "patch_size": PATCH, "in_chans": 1, "num_classes": 4, "embed_dim": 48, "depth": 3}
    sizes |= {"num_heads": 3, "mlp_ratio": 2, "norm_layer": nn.Identity}
    model = VisionTransformerDistilled(**sizes) if prefix == 2 else VisionTransformer(**sizes, reg_tokens=prefix - 1)
    for block in model.blocks[:-1]:
        for parameter in block.attn.parameters():
            nn.init.zeros_(parameter).requires_grad_(False)
    return model


def _trained(model: VisionTransformer, steps: int = 100) -> VisionTransformer:
    images, target, _ = _squares(2048, seed=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    random = torch.Generator().manual_seed(5)
    for _ in range(steps):
        rows = torch.randint(0, len(images), (64,), generator=random)
        loss = F.cross_entropy(model(images[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@pytest.fixture(scope="module")
def trained() -> dict[int, dict[str, Tensor]]:
    """Weights by the number of tokens before the grid's."""
    return {prefix: _trained(_transformer(prefix)).state_dict() for prefix in PREFIXES}


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_most_of_what_maps_mark_is_the_evidence(
    trained: dict[int, dict[str, Tensor]], prefix: int, fused: bool
) -> None:
    set_fused_attn(fused)
    try:
        model = _transformer(prefix).eval()
    finally:
        set_fused_attn(True)
    model.load_state_dict(trained[prefix])
    images, target, where = _squares(200, seed=9)
    with torch.no_grad():
        assert (model(images).argmax(1) == target).float().mean() > 0.95
    layer = find_target_layer(model, images[:2])
    assert layer == "blocks.2.norm1"
    maps = saliency_maps(model, images, target[:, None], target_layer=layer, methods=("case", "layercam"))
    shares = {method: _share(found[:, 0], where) for method, found in maps.items()}
    assert min(shares.values()) > 0.5 == 8 * CHANCE, shares


def _share(maps: Tensor, where: Tensor) -> float:
    """How much of the top 5% of the pixels, of all images together, is in the squares."""
    top = maps.flatten(1).topk(TOP)
    marked = top.values > 0
    hits = where.flatten(1).gather(1, top.indices) & marked
    return float(hits.sum() / marked.sum())
