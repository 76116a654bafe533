"""Models that do unusual things, against the same model written plainly, or against running it channel by channel."""

import logging
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from case_monitor.domain.errors import ModelError, TargetLayerError
from case_monitor.saliency import METHODS, Outputs, TargetLayer, fallback, find_target_layer, saliency_maps, tap_layer
from tests.support.toys import a_cnn, some_images

TARGETS = torch.tensor([[0, 1], [2, 3]])
ALL = tuple(METHODS)
Record = namedtuple("Record", ["logits", "auxiliary"])


def maps_of(
    model: nn.Module, layer: Any = "layer", methods: tuple[str, ...] = ALL, **options: Any
) -> dict[str, Tensor]:
    return saliency_maps(model, some_images(), TARGETS, target_layer=layer, methods=methods, size="layer", **options)


def assert_same(came: dict[str, Tensor], expected: dict[str, Tensor], rtol: float = 1e-4) -> None:
    assert came.keys() == expected.keys()
    for method, m in expected.items():
        assert m.max() > 0, f"{method}: the comparison would be vacuous"
        torch.testing.assert_close(
            came[method], m, rtol=rtol, atol=rtol * m.max().item(), msg=lambda s, k=method: k + s
        )


@torch.no_grad()
def ablation_by_hand(model: nn.Module, module: nn.Module, images: Tensor, channel_dim: int = 1) -> Tensor:
    """(B, T, K) drops of the targets' logits, each from a full forward pass with one channel of the module at 0."""

    def drop(k: int) -> Tensor:
        def zero(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
            changed = output.clone()
            changed.select(channel_dim, k).zero_()
            return changed

        handle = module.register_forward_hook(zero)
        logits = model(images.clone())
        handle.remove()
        return (model(images.clone()) - logits).gather(1, TARGETS)

    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda _m, _a, output: seen.append(output))
    model(images.clone())
    handle.remove()
    return torch.stack([drop(k) for k in range(seen[0].shape[channel_dim])], dim=-1)


def ablation_weights(model: nn.Module, module: nn.Module, images: Tensor, channel_dim: int = 1) -> Tensor:
    scores = model(images.clone()).gather(1, TARGETS).detach()
    return ablation_by_hand(model, module, images, channel_dim) / scores.abs().unsqueeze(-1)


class Net(nn.Module):
    """A small network whose `forward` is given: `stem` -> `layer` -> `tail` -> `head`, for images (B, 3, 12, 16)."""

    def __init__(self, run: Callable[["Net", Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.layer = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.tail, self.norm = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.relu, self.inplace = nn.ReLU(), nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 5)
        for name, module in modules.items():
            setattr(self, name, module)
        self.run = run
        self.eval()

    def forward(self, images: Tensor) -> Any:
        return self.run(self, images)


def finish(net: Net, x: Tensor) -> Tensor:
    logits: Tensor = net.head(net.relu(net.tail(x)).mean((-2, -1)))
    return logits


def plain(net: Net, x: Tensor) -> Tensor:
    return finish(net, net.relu(net.layer(net.relu(net.stem(x)))))


def in_place_modules(net: Net, x: Tensor) -> Tensor:
    return finish(net, net.inplace(net.layer(net.inplace(net.stem(x)))))


def in_place_functions(net: Net, x: Tensor) -> Tensor:
    return finish(net, F.relu(net.layer(F.relu(net.stem(x), inplace=True)), inplace=True))


def in_place_on_what_a_module_returned(net: Net, x: Tensor) -> Tensor:
    before = net.stem(x)
    before += 0.5  # twice, if a replay gave back the same tensor again
    return finish(net, net.relu(net.layer(before)) + before)


def residual(net: Net, x: Tensor) -> Tensor:
    before = net.relu(net.stem(x))
    return finish(net, before + net.relu(net.layer(before)))


def in_place_residual(net: Net, x: Tensor) -> Tensor:
    before = net.inplace(net.stem(x))
    after = net.layer(before)
    after += before
    return finish(net, net.inplace(after))


def looks_at_the_image_again(net: Net, x: Tensor) -> Tensor:
    return finish(net, net.layer(net.stem(x)).relu() * F.avg_pool2d(x, 2).mean(1, keepdim=True))


def changes_its_input(net: Net, x: Tensor) -> Tensor:
    x -= 0.25
    return plain(net, x)


def branches_on_the_data(net: Net, x: Tensor) -> Tensor:
    x = net.relu(net.stem(x))
    x = net.layer(x)
    return finish(net, x.relu() if x.mean() > -1e3 else net.norm(x))


UNUSUAL = (
    plain,
    in_place_modules,
    in_place_functions,
    in_place_on_what_a_module_returned,
    residual,
    in_place_residual,
    looks_at_the_image_again,
    changes_its_input,
    branches_on_the_data,
)


@pytest.mark.parametrize("run", UNUSUAL)
def test_ablation_equals_full_forward_passes_and_needs_none(
    run: Callable[[Net, Tensor], Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    model, images = Net(run), some_images()
    fallback.warn_once.cache_clear()
    weights = ablation_weights(model, model.layer, images)
    activations = tap_layer(model, "layer")
    seen: list[Tensor] = []
    with torch.no_grad():
        activations(images.clone(), lambda a: seen.append(a.clone()) or a)
    expected = torch.einsum("btk,bkhw->bthw", weights, seen[0]).relu()
    assert_same(maps_of(model, methods=("ablationcam",)), {"ablationcam": expected})
    assert not caplog.records, "the part behind the layer was not run by itself"


@pytest.mark.parametrize("run", UNUSUAL)
def test_gradients_do_not_care_how_the_model_is_written(run: Callable[[Net, Tensor], Tensor]) -> None:
    """Against autograd on the model's own graph, the layer's output read before anything changes it."""
    model, images = Net(run), some_images()
    leaves: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        leaves.append(output)
        return output.clone()

    handle = model.layer.register_forward_hook(keep)
    logits = model(images.clone())
    handle.remove()
    for t in range(2):
        score = logits.gather(1, TARGETS[:, t : t + 1]).sum()
        (gradient,) = torch.autograd.grad(score, leaves[0], retain_graph=True)
        weights = gradient.mean((-2, -1))
        expected = torch.einsum("bk,bkhw->bhw", weights, leaves[0]).relu()
        assert_same({"gradcam": maps_of(model, methods=("gradcam",))["gradcam"][:, t]}, {"gradcam": expected.detach()})


def test_the_images_are_left_alone_by_a_model_that_changes_its_input() -> None:
    images = some_images()
    saliency_maps(Net(changes_its_input), images, TARGETS, target_layer="layer", methods=ALL)
    assert torch.equal(images, some_images())


def runs_twice(net: Net, x: Tensor) -> Tensor:
    return finish(net, net.layer(net.layer(net.stem(x)).relu()).relu())


@pytest.mark.parametrize("call", [0, 1])
def test_one_of_several_calls_of_a_layer_can_be_named(call: int) -> None:
    """The same network with a copy of the layer for its second call."""

    def twin(net: Net, x: Tensor) -> Tensor:
        return finish(net, net.second(net.layer(net.stem(x)).relu()).relu())

    shared, apart = Net(runs_twice), Net(twin, second=nn.Conv2d(6, 6, 3, padding=1))
    apart.load_state_dict(
        shared.state_dict() | {f"second.{k}": v for k, v in shared.layer.state_dict().items()}, strict=True
    )
    expected = maps_of(apart, "second" if call else "layer")
    assert_same(maps_of(shared, f"layer@{call}"), expected)
    assert_same(maps_of(shared, TargetLayer(shared.layer, call=call)), expected)


def test_a_layer_that_runs_twice_needs_a_call_and_one_that_exists() -> None:
    with pytest.raises(TargetLayerError, match=r"'layer'.*2 came; name one of them: layer@0 to layer@1"):
        maps_of(Net(runs_twice))
    with pytest.raises(TargetLayerError, match=r"'layer@2': more than 2 calls .*, 2 came"):
        maps_of(Net(runs_twice), "layer@2")


def test_a_module_with_two_names_answers_to_both() -> None:
    model = Net(plain)
    model.alias = model.layer
    assert_same(maps_of(model, "alias"), maps_of(model, "layer"))


class Several(nn.Conv2d):
    """A layer that returns its map among other things."""

    def __init__(self, pack: Callable[[Tensor], Any]) -> None:
        super().__init__(6, 6, 3, padding=1)
        self.pack = pack

    def forward(self, x: Tensor) -> Any:
        return self.pack(super().forward(x))


@pytest.mark.parametrize(
    ("pack", "key"),
    [
        (lambda x: (x.mean(), x), 1),
        (lambda x: [x, None], 0),
        (lambda x: {"hidden": x, "other": x.sum((1, 2, 3))}, "hidden"),
        (lambda x: OrderedDict(out=x), "out"),
        (lambda x: Record(logits=x, auxiliary=3), "logits"),
    ],
)
def test_a_layer_may_return_a_tuple_or_a_dict(pack: Callable[[Tensor], Any], key: int | str) -> None:
    def run(net: Net, x: Tensor) -> Tensor:
        output = net.layer(net.relu(net.stem(x)))
        return finish(net, (getattr(output, key) if isinstance(output, Record) else output[key]).relu())

    model, reference = Net(run, layer=Several(pack)), Net(plain)
    reference.load_state_dict(model.state_dict())
    assert_same(maps_of(model, f"layer[{key}]"), maps_of(reference))
    with pytest.raises(TargetLayerError, match=r"'layer': a tensor was expected, a \w+ came; name the entry"):
        maps_of(model, "layer")
    with pytest.raises(TargetLayerError, match="an entry 'nothing' was expected"):
        maps_of(model, "layer[nothing]")


@pytest.mark.parametrize(
    ("pack", "key"),
    [
        (lambda logits: {"logits": logits}, None),
        (lambda logits: Record(logits, None), None),
        (lambda logits: (None, logits), 1),
        (lambda logits: {"scores": logits}, "scores"),
    ],
)
def test_a_model_may_return_a_tuple_or_a_dict(pack: Callable[[Tensor], Any], key: int | str | None) -> None:
    model = Net(lambda net, x: pack(plain(net, x)))
    assert_same(maps_of(model, output_key=key), maps_of(Net(plain)))
    assert find_target_layer(model, some_images(), Outputs(key)) == "tail"


@pytest.mark.parametrize("came", [lambda y: (y, y), lambda y: {"a": y}, lambda y: [y], lambda y: None])
def test_an_output_without_logits_is_an_error_that_says_how_to_name_them(came: Callable[[Tensor], Any]) -> None:
    with pytest.raises(ModelError, match="name the entry with `output_key`"):
        maps_of(Net(lambda net, x: came(plain(net, x))))


def backbone_without_gradients(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        x = net.layer(net.relu(net.stem(x)))
    return finish(net, x.relu())


@torch.no_grad()
def no_gradients_at_all(net: Net, x: Tensor) -> Tensor:
    return plain(net, x)


def switched_off(net: Net, x: Tensor) -> Tensor:
    with torch.set_grad_enabled(False):
        return plain(net, x)


@pytest.mark.parametrize("run", [backbone_without_gradients, no_gradients_at_all, switched_off])
def test_no_grad_inside_the_model_does_not_matter(run: Callable[[Net, Tensor], Tensor]) -> None:
    assert_same(maps_of(Net(run)), maps_of(Net(plain)))
    assert find_target_layer(Net(run), some_images()) == "tail"
    assert torch.is_grad_enabled()


def test_inference_mode_inside_the_model_refuses_gradients_and_allows_the_rest() -> None:
    model = Net(torch.inference_mode()(plain))
    with pytest.raises(TargetLayerError, match=r"runs under torch\.inference_mode"):
        maps_of(model, methods=("case",))
    methods = ("scorecam", "ablationcam")
    assert_same(maps_of(model, methods=methods), maps_of(Net(plain), methods=methods))


def test_wrapped_models_are_explained_like_what_they_wrap() -> None:
    model = Net(plain)
    expected = maps_of(model)
    wrapped = nn.DataParallel(model)
    for layer in ("layer", "module.layer", model.layer):
        assert_same(maps_of(wrapped, layer), expected)
    assert_same(maps_of(torch.compile(model), "layer"), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.bfloat16, 0.1), (torch.float16, 0.02), (torch.float64, 1e-4)])
def test_precisions_other_than_float32(dtype: torch.dtype, rtol: float, caplog: pytest.LogCaptureFixture) -> None:
    fallback.warn_once.cache_clear()
    expected = maps_of(Net(plain))
    model = Net(plain).to(dtype)
    images = some_images().to(dtype)
    maps = saliency_maps(model, images, TARGETS, target_layer="layer", methods=ALL, size="layer")
    # Channels that nearly cancel are beyond 8 or 11 bits; what a map is largest at is not.
    for method in ("gradcam", "layercam", "hirescam", "scorecam"):
        m = expected[method]
        assert maps[method].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert (maps[method] - m).abs().max() <= rtol * m.max(), method
    assert all(torch.isfinite(m).all() for m in maps.values())
    assert not caplog.records


def a_vit() -> nn.Module:
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=16, patch_size=4, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=16, num_classes=5
    )
    nn.init.normal_(model.heads.head.weight)
    return model.eval()


def a_swin() -> nn.Module:
    torch.manual_seed(0)
    model = SwinTransformer([2, 2], 8, [2, 2], [2, 2], window_size=[4, 4], num_classes=5)
    return model.eval()


def vit_grid(output: Tensor) -> Tensor:
    return output[:, 1:].reshape(len(output), 4, 4, -1).permute(0, 3, 1, 2)


def test_a_vits_tokens_become_a_grid_without_the_class_token() -> None:
    model, images = a_vit(), torch.randn(2, 3, 16, 16)
    layer = find_target_layer(model, images)
    assert layer == "encoder.layers.encoder_layer_1.ln_1", "behind the last attention, patches have no influence"
    automatic = saliency_maps(model, images, TARGETS, target_layer=layer, methods=ALL, size="layer")
    by_hand = TargetLayer(layer, reshape=vit_grid)
    assert_same(
        automatic, saliency_maps(model, images, TARGETS, target_layer=by_hand, methods=ALL, size="layer"), rtol=1e-5
    )
    weights = ablation_weights(model, model.get_submodule(layer), images, channel_dim=2)
    seen: list[Tensor] = []
    with torch.no_grad():
        tap_layer(model, layer)(images, lambda a: seen.append(a) or a)
    expected = torch.einsum("btk,bkhw->bthw", weights, vit_grid(seen[0])).relu()
    assert_same({"ablationcam": automatic["ablationcam"]}, {"ablationcam": expected}, rtol=1e-3)


@pytest.mark.parametrize("layer", ["features.2", "norm"])
def test_a_swins_channels_last_become_channels_first(layer: str) -> None:
    model, images = a_swin(), torch.randn(2, 3, 32, 32)
    assert find_target_layer(model, images) == "permute"
    shapes: list[Tensor] = []
    tap_layer(model, layer)(images, lambda a: shapes.append(a) or a)
    automatic = saliency_maps(model, images, TARGETS, target_layer=layer, methods=ALL, size="layer")
    assert automatic["case"].shape[-2:] == shapes[0].shape[1:3]
    by_hand = TargetLayer(layer, reshape=lambda a: a.permute(0, 3, 1, 2))
    assert_same(automatic, saliency_maps(model, images, TARGETS, target_layer=by_hand, methods=ALL, size="layer"))
    if layer == "norm":  # the same numbers as behind the permutation
        permuted = saliency_maps(model, images, TARGETS, target_layer="permute", methods=ALL, size="layer")
        assert_same(automatic, permuted)


@pytest.mark.parametrize(
    ("reshape", "message"),
    [
        (lambda a: a[:, 1:].transpose(1, 2), "moving the values"),
        (lambda a: a[:, 1:, :1].expand(-1, -1, 12).transpose(1, 2).unflatten(2, (4, 4)), "moving the values"),
        (lambda a: a.flatten(1)[:, :192].reshape(-1, 12, 4, 4), "one dimension of the output as channels"),
    ],
)
def test_a_reshape_that_is_none_is_refused(reshape: Callable[[Tensor], Tensor], message: str) -> None:
    layer = TargetLayer("encoder.layers.encoder_layer_1.ln_1", reshape=reshape)
    with pytest.raises(TargetLayerError, match=message):
        saliency_maps(a_vit(), torch.randn(2, 3, 16, 16), TARGETS, target_layer=layer)


class TenTokens(nn.Module):
    """Ten tokens, or nine behind a class token, make no grid like a 12 x 16 image's."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).repeat(1, 2, 1)[:, :10]


def test_tokens_that_make_no_grid_are_refused() -> None:
    def run(net: Net, x: Tensor) -> Tensor:
        return finish(net, net.layer(net.stem(x))[:, :6].unflatten(2, (6, 8)))

    with pytest.raises(TargetLayerError, match=r"like the image's 12x16.*shape \(2, 10, 48\) came; give `reshape`"):
        maps_of(Net(run, layer=TenTokens()))


# ---- models whose parts cannot be run alone: the whole model is, and that is said


class Counts(nn.Module):
    """Remembers the batch between its calls, so that a replayed first call leaves the second with something stale."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.memory = x.detach().mean((1, 2, 3), keepdim=True)
        return x


def through_the_side(net: Net, x: Tensor) -> Tensor:
    """What the stem saw reaches the head by an attribute that a replay does not set."""
    x = net.counts(net.relu(net.stem(x)))
    after = net.layer(x)
    net.counts.memory = net.counts.memory * 2
    return finish(net, after.relu() + net.counts.memory)


def knows_its_batch(net: Net, x: Tensor) -> Tensor:
    x = net.layer(net.relu(net.stem(x))).relu()
    x = net.tail(x.view(2, -1, *x.shape[-2:])[:, :6])  # with other rows than two, channels of one image mix
    return net.head(net.relu(x).mean((-2, -1))).view(2, 5)


@pytest.mark.parametrize("run", [through_the_side, knows_its_batch])
def test_a_model_whose_parts_cannot_be_run_alone_is_run_whole_and_that_is_logged(
    run: Callable[[Net, Tensor], Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    fallback.warn_once.cache_clear()
    model, images = Net(run, counts=Counts()), some_images()
    weights = ablation_weights(model, model.layer, images)
    seen: list[Tensor] = []
    with torch.no_grad():
        tap_layer(model, "layer")(images, lambda a: seen.append(a.clone()) or a)
    expected = torch.einsum("btk,bkhw->bthw", weights, seen[0]).relu()
    with caplog.at_level(logging.WARNING):
        assert_same(maps_of(model, methods=("ablationcam",)), {"ablationcam": expected}, rtol=1e-3)
        maps_of(model, methods=("ablationcam",))
    (record,) = caplog.records
    assert "'layer': the part of the model behind it cannot be run by itself" in record.message


def test_a_graph_exported_for_one_batch_size_is_refused_with_the_way_out() -> None:
    graph = torch.export.export(Net(plain), (some_images(),)).module()
    for ask in (lambda: maps_of(graph), lambda: find_target_layer(graph, some_images())):
        with pytest.raises(ModelError, match=r"any number of images was expected, exactly 2 came; export it with"):
            ask()


def test_channels_last_is_left_where_the_model_cannot_take_it(caplog: pytest.LogCaptureFixture) -> None:
    def views(net: Net, x: Tensor) -> Tensor:
        return plain(net, x.view(len(x), -1).view(x.shape))

    fallback.warn_once.cache_clear()
    expected = maps_of(Net(plain), methods=("scorecam",))
    with caplog.at_level(logging.WARNING):
        assert_same(maps_of(Net(views), methods=("scorecam",)), expected)
    (record,) = caplog.records
    assert record.message.startswith("channels-last forward passes are not used: view size is not compatible")


# ---- the separable shortcut


def pooled(net: Net, x: Tensor) -> Tensor:
    logits: Tensor = net.head(net.relu(net.layer(net.relu(net.stem(x)))).mean((-2, -1)))
    return logits


def flattened(net: Net, x: Tensor) -> Tensor:
    x = F.adaptive_max_pool2d(net.norm(net.layer(net.relu(net.stem(x)))).relu(), 2)
    logits: Tensor = net.deep(x.flatten(1))
    return logits


def normalised(net: Net, x: Tensor) -> Tensor:
    x = F.layer_norm(net.layer(net.relu(net.stem(x))).mean((-2, -1)), (6,))
    logits: Tensor = net.head(x)
    return logits


def shuffled(net: Net, x: Tensor) -> Tensor:
    """Separable, but not in blocks of the Linear's input."""
    x = net.layer(net.relu(net.stem(x)))
    logits: Tensor = net.wide(x.permute(0, 2, 3, 1).flatten(1))
    return logits


@pytest.mark.parametrize(
    ("run", "applies"), [(pooled, True), (flattened, True), (normalised, False), (shuffled, False), (plain, False)]
)
def test_the_separable_shortcut_is_taken_where_it_holds_and_is_exact(
    run: Callable[[Net, Tensor], Tensor], applies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = nn.Sequential(nn.Linear(24, 7), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(7, 5))
    model, images = Net(run, deep=deep, wide=nn.Linear(6 * 6 * 8, 5)), some_images()
    from case_monitor.saliency.methods import ablationcam

    asked: list[bool] = []
    original = ablationcam.separable_drops

    def spy(*args: Any) -> Tensor | None:
        drops = original(*args)
        asked.append(drops is not None)
        return drops

    monkeypatch.setattr(ablationcam, "separable_drops", spy)
    maps = maps_of(model, methods=("ablationcam",))["ablationcam"]
    assert asked == [applies]
    weights = ablation_weights(model, model.layer, images)
    seen: list[Tensor] = []
    with torch.no_grad():
        tap_layer(model, "layer")(images, lambda a: seen.append(a.clone()) or a)
    expected = torch.einsum("btk,bkhw->bthw", weights, seen[0]).relu()
    assert_same({"ablationcam": maps}, {"ablationcam": expected})


def test_an_image_with_dead_channels_only_has_a_map_of_zeros() -> None:
    model = a_cnn(1)
    with torch.no_grad():
        model.features[4].weight.zero_()
        model.features[4].bias.fill_(-1)
    maps = saliency_maps(model, some_images(), TARGETS, target_layer="relu", methods=ALL)
    assert all(not m.any() for m in maps.values())
