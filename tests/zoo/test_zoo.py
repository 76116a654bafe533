"""What `auto` explains of the architectures that people use: the right layer, or none; docs/models.md says which."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.saliency import find_target_layer, saliency_maps
from tests.zoo.families import Family, families

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
FAMILIES = list(families())
LARGE = (
    *(
        "coat_tiny",
        "coatnet_nano_rw_224",
        "crossvit_9_240",
        "davit_tiny",
        "googlenet",
        "hiera_tiny_224",
        "inception_v3",
    ),
    *("maxvit_t", "nest_tiny", "nfnet_f0", "resmlp_12_224", "swinv2_cr_tiny_224", "tnt_s_patch16_224"),
    *("twins_svt_small", "vgg11_bn", "vit_b_32", "volo_d1_224"),
)
"""Seconds each, and more than half of all: `make test-long` runs them."""
PLACES = [(y, x) for y in (1 / 6, 1 / 2, 5 / 6) for x in (1 / 6, 1 / 2, 5 / 6)]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def spelled(family: Family) -> str:
    return f"{family.package} {family.name}"


def images_of(family: Family, n: int = 2) -> Tensor:
    return torch.rand(n, 3, family.side, family.side, generator=torch.Generator().manual_seed(1))


def plain_name(family: Family) -> str:
    return family.layer.partition("{")[0]


def grid_by_hand(output: Tensor, family: Family) -> Tensor:
    """(B, K, h, w), by what the row says, and nothing of ours."""
    if output.ndim == 4:
        return output if output.shape[2] == output.shape[3] else output.permute(0, 3, 1, 2)
    assert family.before is not None, f"{family.name}: tokens {tuple(output.shape)}"
    side = int((output.shape[1] - family.before) ** 0.5)
    return output[:, family.before : family.before + side * side].transpose(1, 2).unflatten(2, (side, side))


def run_by_hand(model: nn.Module, family: Family, images: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's output, as it was when it was returned, and the logits."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
        seen.append(output)
        return output.clone()  # what is changed in place later is another

    handle = model.get_submodule(plain_name(family)).register_forward_hook(keep)
    returned = model(images)
    handle.remove()
    return seen[-1], returned if isinstance(returned, Tensor) else returned.logits


def changed(images: Tensor, y: float, x: float, side: int) -> Tensor:
    """The image with a patch around a place upside down in brightness."""
    patch = images.shape[-1] // side
    top, left = (int(place * side) * patch for place in (y, x))
    images = images.clone()
    images[..., top : top + patch, left : left + patch] = (
        1 - images[..., top : top + patch, left : left + patch].round()
    )
    return images


@pytest.mark.parametrize(
    "family", [pytest.param(f, id=spelled(f), marks=[pytest.mark.long] if f.name in LARGE else []) for f in FAMILIES]
)
def test_the_layer_is_a_picture_and_its_map_is_that_of_autograd(family: Family) -> None:
    model, images = family.model(), images_of(family)
    if not family.layer:
        with pytest.raises(TargetLayerError, match="name one in the config"):
            find_target_layer(model, images)
        return
    assert find_target_layer(model, images) == family.layer
    output, logits = run_by_hand(model, family, images.requires_grad_())
    gradient = torch.autograd.grad(logits[range(len(logits)), [0, 1]].sum(), output)[0]
    weights = grid_by_hand(gradient, family).mean((2, 3), keepdim=True)
    expected = (weights * grid_by_hand(output, family)).sum(1).relu().detach()
    found = saliency_maps(
        model, images.detach(), torch.tensor([[0], [1]]), target_layer=family.layer, methods=("gradcam",), size="layer"
    )["gradcam"][:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.max()) + 1e-9)

    side = expected.shape[-1]
    if side < 4 or (family.blurred and output.ndim == 4):
        return  # every cell is near every place, or changes alike
    with torch.no_grad():
        all_places = torch.cat([images[:1], *(changed(images[:1], y, x, side) for y, x in PLACES)])
        grids = grid_by_hand(run_by_hand(model, family, all_places.detach())[0], family).double()
    moved = (grids[1:] - grids[:1]).abs().sum(1)
    peaks = (moved / moved.mean(0).clamp(min=1e-12)).flatten(1).argmax(1)
    at = torch.stack([peaks // side + 0.5, peaks % side + 0.5], 1) / side
    distance = torch.cdist(at.double(), torch.tensor(PLACES, dtype=torch.float64))
    own, others = distance.diagonal().mean(), (distance.sum() - distance.trace()) / 72
    assert own < 0.75 * others, f"changes lie {own:.2f} from their places, and {others:.2f} from others"


def test_there_are_sixty_and_all_are_on_the_page() -> None:
    assert len(FAMILIES) > 60
    assert set(LARGE) < {family.name for family in FAMILIES}
    assert table() in PAGE.read_text(encoding="utf-8"), f"docs/models.md needs this table:\n{table()}"


def table() -> str:
    """As it stands in docs/models.md."""
    rows = ["| package | architecture | layer of `auto` | its tokens before the grid |", "| --- | --- | --- | --- |"]
    for family in FAMILIES:
        tokens = "" if family.before is None else family.before
        layer = f"`{family.layer}`" if family.layer else "refused: name one"
        rows.append(f"| {family.package} | `{family.name}` | {layer} | {tokens} |")
    return "\n".join(rows)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"\| package .*\n(\|.*\n?)+", lambda _: table() + "\n", text), encoding="utf-8")
