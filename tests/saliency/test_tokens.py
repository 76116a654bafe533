"""Which layer of a transformer is explained: tokens that are a picture of the image, before the last attention."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.domain.protocol import Protocol
from case_monitor.measuring.held_model import HeldModel
from case_monitor.saliency import Outputs, TargetLayer, find_target_layer, require_picture, saliency_maps
from case_monitor.saliency.target_layer import Tokens, token_grids

SIDE, PATCH, WIDTH = 32, 4, 16
IMAGES = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """With the matrix as a module's output, as timm has it where attention is not fused."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        if kind == "apart":
            self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        else:
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.drop, self.proj = nn.Dropout(0.0), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.q(x), self.k(x), self.v(x)) if self.kind == "apart" else self.qkv(x).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in (q, k, v))
        if self.kind == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = self.drop((q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)) @ v
        found: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return found


class Block(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(WIDTH), Attention(kind), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        found: Tensor = x + self.mlp(self.norm2(x))
        return found


class ViT(nn.Module):
    """So many tokens before and after those of the patches; the first of all is the class token, if there is one."""

    def __init__(self, kind: str, before: int, after: int = 0, *, depth: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        tokens = (SIDE // PATCH) ** 2
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.before, self.after = nn.Parameter(torch.randn(before, WIDTH)), nn.Parameter(torch.randn(after, WIDTH))
        self.position = nn.Parameter(torch.randn(tokens, WIDTH) * 0.1)
        self.blocks = nn.Sequential(*(Block(kind) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2) + self.position
        rows = [t.expand(images.shape[0], -1, -1) for t in (self.before, self.after)]
        x = self.norm(self.blocks(torch.cat([rows[0], patches, rows[1]], 1)))
        found: Tensor = self.head(x[:, 0] if len(self.before) else x.mean(1))
        return found


@pytest.mark.parametrize("kind", ["fused", "matrix", "apart"])
@pytest.mark.parametrize(("before", "after"), [(1, 0), (2, 0), (5, 0), (9, 0), (1, 4)])
def test_what_goes_into_the_last_attention_is_explained(kind: str, before: int, after: int) -> None:
    """Not its keys, values and matrix, which have gradients too; behind it only the class token has one."""
    name = find_target_layer(ViT(kind, before, after).eval(), IMAGES)
    assert name == "blocks.1.norm1" + ("{1+8x8+4}" if after else "")


@pytest.mark.parametrize("kind", ["fused", "matrix", "apart"])
def test_where_all_tokens_are_averaged_the_last_layer_is_explained(kind: str) -> None:
    assert find_target_layer(ViT(kind, 0).eval(), IMAGES) == "norm"


@pytest.mark.parametrize("kind", ["fused", "matrix", "apart"])
def test_an_exported_transformer_is_explained_at_the_same_layer(kind: str) -> None:
    model = ViT(kind, 1).eval()
    graph = torch.export.export(model, (IMAGES,), dynamic_shapes=({0: torch.export.Dim.AUTO},)).module()
    assert find_target_layer(graph, IMAGES) == find_target_layer(model, IMAGES) == "blocks.1.norm1"


@pytest.mark.parametrize(("before", "after"), [(1, 0), (5, 0), (1, 4)])
def test_the_grid_is_that_of_the_patches(before: int, after: int) -> None:
    """The one place of the map that is not 0 is where the tokens' only difference is."""
    model = ViT("fused", before, after).eval()
    tokens = Tokens(before, (8, 8), after)
    layer = TargetLayer("blocks.1.norm1", tokens=tokens)
    marked = torch.zeros(1, before + 64 + after, WIDTH)
    marked[0, before + 3 * 8 + 5] = 1
    assert tokens.to_grid(marked)[0, 0].nonzero().tolist() == [[3, 5]]
    targets = torch.tensor([[0, 1]]).expand(2, -1)
    by_object = saliency_maps(model, IMAGES, targets, target_layer=layer, methods=("gradcam",), size="layer")["gradcam"]
    name = f"blocks.1.norm1{{{before}+8x8{f'+{after}' if after else ''}}}"
    by_name = saliency_maps(model, IMAGES, targets, target_layer=name, methods=("gradcam",), size="layer")["gradcam"]
    assert by_object.shape == (2, 2, 8, 8)
    assert torch.equal(by_object, by_name)


def test_other_tokens_than_there_are_is_an_error() -> None:
    with pytest.raises(TargetLayerError, match=r"\(B, 65, K\) was expected by \{1\+8x8\}, shape \(2, 66, 16\) came"):
        saliency_maps(
            ViT("fused", 2).eval(), IMAGES, torch.zeros(2, 1, dtype=torch.long), target_layer="blocks.1.norm1{1+8x8}"
        )


@pytest.mark.parametrize(
    ("tokens", "size", "first"),
    [
        (64, (32, 32), Tokens(0, (8, 8))),
        (65, (32, 32), Tokens(1, (8, 8))),
        (201, (224, 224), Tokens(5, (14, 14))),
        (9 + 196, (224, 224), Tokens(9, (14, 14))),
        (1 + 14 * 20, (224, 320), Tokens(1, (14, 20))),
    ],
)
def test_where_the_grid_is_among_the_tokens(tokens: int, size: tuple[int, int], first: Tokens) -> None:
    assert next(token_grids(tokens, size)) == first


@pytest.mark.parametrize(("tokens", "size"), [(3, (32, 32)), (8, (32, 32)), (75, (224, 224))])
def test_tokens_that_no_grid_makes(tokens: int, size: tuple[int, int]) -> None:
    """4 + 4 tokens could be anything; 75 are 64 and more than nine others."""
    assert list(token_grids(tokens, size)) == []


class ClassAttention(nn.Module):
    """One query for all tokens, at the end (CaiT, attention pooling); gives one token, or none of its own."""

    def __init__(self, *, squeezed: bool) -> None:
        super().__init__()
        self.query, self.k, self.v = (
            nn.Parameter(torch.randn(1, 1, WIDTH)),
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(WIDTH, WIDTH),
        )
        self.squeezed = squeezed

    def forward(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(self.query.expand(x.shape[0], -1, -1), self.k(x), self.v(x))
        return mixed[:, 0] if self.squeezed else mixed


class AttentionPooled(ViT):
    """Its tokens are asked by one query at the end."""

    def __init__(self, *, squeezed: bool) -> None:
        super().__init__("fused", 0)
        self.pool = ClassAttention(squeezed=squeezed)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.norm(self.blocks(self.patch(images).flatten(2).transpose(1, 2)))
        found: Tensor = self.head(self.pool(tokens).flatten(1))
        return found


@pytest.mark.parametrize("squeezed", [False, True])
def test_what_goes_into_an_attention_that_pools_is_explained(*, squeezed: bool) -> None:
    assert find_target_layer(AttentionPooled(squeezed=squeezed).eval(), IMAGES) == "norm"


class InPlace(Block):
    """Adds to what its parts gave, as older code does."""

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.attn(self.norm1(x))
        mixed += x
        found: Tensor = self.mlp(self.norm2(mixed))
        found += mixed
        return found


@pytest.mark.parametrize("kind", ["fused", "matrix", "apart"])
@pytest.mark.parametrize("before", [1, 5])
def test_sums_in_place_change_nothing(kind: str, before: int) -> None:
    model = ViT(kind, before)
    model.blocks = nn.Sequential(InPlace(kind), InPlace(kind))
    assert find_target_layer(model.eval(), IMAGES) == "blocks.1.norm1"


class Rows(nn.Module):
    """Reads the image's rows as 16 time steps, which a square grid has room for."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.steps, self.head = nn.GRU(3 * 2 * SIDE, WIDTH, batch_first=True), nn.Linear(WIDTH, 5)
        self.out = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        rows = images.permute(0, 2, 1, 3).reshape(len(images), 16, -1)
        found: Tensor = self.head(self.out(self.steps(rows)[0]).mean(1))
        return found


def test_time_steps_are_no_grid() -> None:
    with pytest.raises(TargetLayerError, match=r"changes where the image is changed \('out' do not\); name one"):
        find_target_layer(Rows().eval(), IMAGES)


class Shuffled(nn.Module):
    """A convolution whose grid is the image's in another order, as where windows are taken apart and not put back."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.shuffle, self.head = nn.Conv2d(3, 8, 4, 4), nn.Identity(), nn.Linear(8, 5)
        self.register_buffer("order", torch.randperm(64, generator=torch.Generator().manual_seed(1)))

    def forward(self, images: Tensor) -> Tensor:
        grid = self.conv(images)
        found: Tensor = self.head(self.shuffle(grid.flatten(2)[..., self.order].view_as(grid)).relu().mean((-2, -1)))
        return found


def test_a_grid_in_another_order_is_passed_over() -> None:
    assert find_target_layer(Shuffled().eval(), IMAGES) == "conv"


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (Shuffled(), "shuffle"),
        (Rows(), "out"),
        (ViT("matrix", 1), "blocks.1.attn.drop"),
        (ViT("fused", 5), "norm{0+8x8+5}"),
    ],
    ids=["shuffled", "time steps", "attention", "another place"],
)
def test_a_layer_that_somebody_names_must_be_a_picture_too(model: nn.Module, layer: str) -> None:
    with pytest.raises(TargetLayerError, match="does not change where the image is changed"):
        require_picture(model.eval(), layer, IMAGES, Outputs())


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1.norm1", "norm", "blocks.1.attn.qkv", "patch"])
def test_any_layer_that_is_one_may_be_named(layer: str) -> None:
    require_picture(ViT("fused", 1).eval(), layer, IMAGES, Outputs())


class Windows(nn.Module):
    """Takes the image apart, so that a layer has four rows for each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        windows = images.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        found: Tensor = self.head(self.conv(windows).mean((-2, -1)).view(images.shape[0], 4, 8).mean(1))
        return found


def test_a_layer_whose_rows_are_no_images_is_an_error() -> None:
    model, targets = Windows().eval(), torch.zeros(2, 1, dtype=torch.long)
    with pytest.raises(TargetLayerError, match="'conv': a row for each of 2 images was expected, 8 came"):
        saliency_maps(model, IMAGES, targets, target_layer="conv")
    with pytest.raises(TargetLayerError, match="no layer of the model has spatial output"):
        find_target_layer(model, IMAGES)


class ClassTokenLast(ViT):
    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2) + self.position
        x = self.norm(self.blocks(torch.cat([patches, self.before.expand(images.shape[0], -1, -1)], 1)))
        found: Tensor = self.head(x[:, -1])
        return found


@pytest.mark.parametrize("seed", range(6))
def test_a_class_token_at_the_end_is_no_place_of_the_grid(seed: int) -> None:
    """Behind the last attention it alone has a gradient; a grid that is one token off would hold it."""
    model = ClassTokenLast("fused", 1).eval()
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    assert find_target_layer(model, IMAGES) == "blocks.1.norm1{0+8x8+1}"


@pytest.mark.parametrize("colour", [0.0, 0.5, 1.0])
def test_an_image_of_one_colour_is_changed_too(colour: float) -> None:
    images = torch.stack([torch.full_like(IMAGES[0], colour), IMAGES[1]])
    assert find_target_layer(ViT("fused", 1).eval(), images) == "blocks.1.norm1"


def some_convolutions(count: int) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 4, 4), nn.ReLU()]
    for _ in range(count - 1):
        layers += [nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()


class Turned(nn.Module):
    """Looks at the image in another way up; its grid is the image's only when that is turned back."""

    def __init__(self, net: nn.Module, how: str) -> None:
        super().__init__()
        self.net, self.how = net, how

    def forward(self, images: Tensor) -> Tensor:
        ways = {
            "transposed": lambda x: x.transpose(2, 3),
            "mirrored": lambda x: x.flip(3),
            "upside down": lambda x: x.flip(2, 3),
            "quarter turn": lambda x: x.rot90(1, (2, 3)),
        }
        found: Tensor = self.net(ways[self.how](images))
        return found


@pytest.mark.parametrize("how", ["transposed", "mirrored", "upside down", "quarter turn"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_grid_that_is_turned_is_refused(how: str, count: int) -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model = Turned(some_convolutions(count), how).eval()
    assert find_target_layer(model.net, images).isdecimal()
    with pytest.raises(TargetLayerError, match="changes where the image is changed"):
        find_target_layer(model, images)


@pytest.mark.parametrize("side", [12, 16, 20, 28, 32])
@pytest.mark.parametrize("count", [1, 2, 4, 7, 11])
@pytest.mark.parametrize("seed", [0, 1])
def test_convolutions_of_any_depth_are_explained_at_the_last(side: int, count: int, seed: int) -> None:
    """Also where each cell sees the whole image, and so little is to be seen of the order."""
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed))
    model = some_convolutions(count)
    assert find_target_layer(model, images) == str(len(model) - 4)


class Decoder(nn.Module):
    """Beside its logits it gives back the image, by layers that the logits know nothing of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
        self.decoder = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(11)))
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        seen = self.encoder(images)
        return {"logits": self.head(seen.mean((2, 3))), "image": self.decoder(seen)}


def test_layers_that_the_logits_know_nothing_of_are_no_later_part() -> None:
    assert find_target_layer(Decoder().eval(), IMAGES) == "encoder"


class Queries(nn.Module):
    """Ten tokens of its own ask the patches: nine and one are no grid."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.norm = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.LayerNorm(WIDTH)
        self.queries, self.head = nn.Parameter(torch.randn(10, WIDTH)), nn.Linear(10 * WIDTH, 5)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(self.queries.expand(images.shape[0], -1, -1), patches, patches)
        found: Tensor = self.head(self.norm(mixed).flatten(1))
        return found


def test_queries_are_no_grid() -> None:
    assert find_target_layer(Queries().eval(), IMAGES) == "patch"


def test_a_model_may_change_its_input_in_place() -> None:
    net = some_convolutions(2)
    net.register_forward_pre_hook(lambda _, given: (given[0].sub_(0.5),))
    assert find_target_layer(net, IMAGES).isdecimal()


def test_a_layer_that_was_looked_at_is_taken_as_it_is() -> None:
    """The same layer is measured again and again, on other images, too: what was found of it is not asked anew."""
    held = HeldModel(model=Shuffled().eval(), protocol=Protocol(), device="cpu")
    assert held.survey(IMAGES, "shuffle", known=True).layer == "shuffle"
    with pytest.raises(TargetLayerError, match="does not change where the image is changed"):
        held.survey(IMAGES, "shuffle")
