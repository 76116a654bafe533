"""Shuffled weights, and what becomes of maps under them."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import entropy as scipys_entropy
from scipy.stats import spearmanr
from torch import Tensor, nn

from case_monitor.domain.errors import ModelError
from case_monitor.measuring.diagnostics import ShuffledWeights, diagnose
from case_monitor.measuring.diagnostics.mprt import BINS
from case_monitor.measuring.diagnostics.shuffled_weights import STAGES
from case_monitor.saliency import resize_maps
from tests.measuring.diagnostics.subjects import Network, explain, of_network, pictures, subject

LAYERS = ("conv", "later", "head")


def answer(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(pictures(1))


def shuffled_layers(model: nn.Module, learned: dict[str, Tensor]) -> set[str]:
    return {name.rpartition(".")[0] for name, values in model.named_parameters() if not values.equal(learned[name])}


def test_layers_are_shuffled_one_after_the_other_from_the_last() -> None:
    network = Network()
    learned = {name: values.detach().clone() for name, values in network.named_parameters()}
    weights = ShuffledWeights(network, answer, 0)
    stages = [shuffled_layers(weights.at(stage), learned) for stage in range(STAGES + 1)]
    assert stages == [set(), {"head"}, {"head", "later"}, {"head", "later"}, set(LAYERS), set(LAYERS)]
    for name, values in weights.at(STAGES).named_parameters():
        assert_allclose(values.detach().flatten().sort().values, learned[name].flatten().sort().values)
    assert shuffled_layers(network, learned) == set()


def test_the_same_seed_shuffles_alike() -> None:
    first, second, other = (
        dict(ShuffledWeights(Network(), answer, seed).at(STAGES).named_parameters()) for seed in (0, 0, 1)
    )
    assert first["later.weight"].equal(second["later.weight"])
    assert not first["later.weight"].equal(other["later.weight"])


def test_a_model_that_cannot_be_copied_is_named_with_its_reason() -> None:
    network = Network()
    network.held = (step for step in range(3))
    with pytest.raises(
        ModelError, match=r"^protocol\.diagnostics, mprt and emprt: a model that can be copied .*; TypeError: cannot"
    ):
        ShuffledWeights(network, answer, 0)


def with_shuffled(network: nn.Module, images: Tensor) -> tuple[object, ShuffledWeights]:
    weights = ShuffledWeights(network, answer, 0)
    return of_network(network, images, shuffled=lambda stage: partial(explain, model=weights.at(stage))), weights


def test_similarity_is_scipys_rank_correlation_over_the_stages() -> None:
    network, images = Network(), pictures(4)
    batch, weights = with_shuffled(network, images)
    found = diagnose(["mprt"], batch).values
    for method in ("gradcam", "case"):
        for i in range(4):
            values = []
            for stage in range(1, STAGES + 1):
                maps = explain(images, batch.classes[:, :1], copy.deepcopy(weights.at(stage)))[method][i, 0]
                if maps.unique().numel() > 1 and batch.small[method][i].unique().numel() > 1:
                    values.append(spearmanr(batch.small[method][i].flatten(), maps.flatten()).statistic)
            expected = np.mean(values) if values else np.nan
            assert_allclose(found[method, "mprt_similarity"][i], expected, atol=1e-6)


def test_the_rise_is_of_scipys_entropy() -> None:
    network, images = Network(), pictures(4)
    batch, weights = with_shuffled(network, images)
    found = diagnose(["emprt"], batch).values["case", "emprt_rise"]
    after = resize_maps(explain(images, batch.classes[:, :1], weights.at(STAGES))["case"], (20, 16))[:, 0]
    for i in range(4):
        first, second = (scipys_entropy(np.histogram(of, bins=BINS)[0]) for of in (batch.maps["case"][i], after[i]))
        assert_allclose(found[i], (second - first) / first if second > 0 else np.nan, rtol=1e-6)
    assert np.isfinite(found).any()


def test_maps_that_do_not_look_at_the_weights_are_the_same() -> None:
    """An edge detector, say."""
    maps = {"map": torch.arange(1.0, 21).view(1, 4, 5)}
    batch = subject(Network(), pictures(1)[..., :4, :5], maps)
    batch.shuffled = lambda _stage: batch.explain
    found = diagnose(["mprt", "emprt"], batch).values
    assert_allclose(found["map", "mprt_similarity"], 1)
    assert_allclose(found["map", "emprt_rise"], 0, atol=1e-9)


def test_without_weights_there_is_no_number() -> None:
    maps = {"map": torch.arange(1.0, 21).view(1, 4, 5)}
    found = diagnose(["mprt", "emprt"], subject(Network(), pictures(1)[..., :4, :5], maps)).values
    assert all(np.isnan(values).all() for values in found.values())


@pytest.mark.parametrize("what", ["none", "buffers", "a scalar"])
def test_answers_that_no_parameter_changes_are_refused(what: str) -> None:
    network = Network()
    for module in list(network.modules()):
        for name, values in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, values.detach())
    if what == "a scalar":
        network.register_parameter("scale", nn.Parameter(torch.ones(1)))
    if what == "none":
        network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ModelError, match=r"whose answers depend on its parameters was expected, they stay .* buffers"):
        ShuffledWeights(network, answer, 0)


def test_a_copy_that_runs_the_original_is_refused() -> None:
    """A closure is copied as it is: the copy's head would be the learned one."""
    network = Network()
    original = network.head
    network.forward = lambda images: original(network.conv(images).relu().mean((2, 3)).repeat(1, 2)[:, :8])
    with pytest.raises(
        ModelError, match=r"a model whose copy runs by itself was expected, it runs '.*' of the original"
    ):
        ShuffledWeights(network, answer, 0)


def test_the_last_layer_is_the_one_that_runs_last() -> None:
    """However its parts are registered, and whatever they are called."""

    class Other(nn.Module):
        def __init__(self, network: Network) -> None:
            super().__init__()
            self.zz, self.first, self.unused, self.b = network.head, network.later, nn.Linear(2, 2), network.conv

        def forward(self, images: Tensor) -> Tensor:
            return self.zz(self.first(self.b(images).relu()).relu().mean((2, 3))) * 8

    network = Other(Network())
    learned = {name: values.detach().clone() for name, values in network.named_parameters()}
    weights = ShuffledWeights(network, answer, 0)
    stages = [shuffled_layers(weights.at(stage), learned) for stage in range(1, STAGES + 1)]
    assert stages == [
        {"zz"},
        {"zz", "first"},
        {"zz", "first", "b"},
        {"zz", "first", "b", "unused"},
        set(learned and stages[3]),
    ]


def test_a_map_that_is_constant_or_no_number_under_shuffled_weights_has_no_rise_and_no_likeness() -> None:
    maps = {"map": torch.arange(1.0, 21).view(1, 4, 5)}
    batch = subject(Network(), pictures(1)[..., :4, :5], maps)
    for value in (0.0, 2.0, torch.nan):
        batch = subject(Network(), pictures(1)[..., :4, :5], maps)
        batch.shuffled = lambda _stage, value=value: lambda *_: {"map": torch.full((1, 1, 4, 5), value)}
        found = diagnose(["mprt", "emprt"], batch).values
        assert np.isnan(found["map", "emprt_rise"]).all()
        assert np.isnan(found["map", "mprt_similarity"]).all()
    batch = subject(Network(), pictures(1)[..., :4, :5], maps)
    batch.shuffled = lambda stage: lambda *_: {"map": maps["map"].unsqueeze(1) * (torch.nan if stage == 1 else 1)}
    assert np.isnan(diagnose(["mprt"], batch).values["map", "mprt_similarity"]).all()


def test_a_map_that_is_all_but_constant_has_no_number() -> None:
    flat = {"map": 1 + 1e-8 * torch.arange(20.0).view(1, 4, 5)}
    batch = subject(Network(), pictures(1)[..., :4, :5], flat)
    batch.shuffled = lambda _stage: lambda *_: {"map": torch.rand(1, 1, 4, 5)}
    found = diagnose(["mprt", "emprt"], batch).values
    assert all(np.isnan(values).all() for values in found.values())


def test_both_share_their_maps() -> None:
    maps = {"map": torch.arange(1.0, 21).view(1, 4, 5)}
    batch = subject(Network(), pictures(1)[..., :4, :5], maps)
    asked = []

    def shuffled(stage: int) -> object:
        asked.append(stage)
        return batch.explain

    batch.shuffled = shuffled
    diagnose(["mprt", "emprt"], batch)
    assert asked == list(range(1, STAGES + 1))
