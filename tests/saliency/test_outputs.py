"""Logits are read from what a model returns: as they are, or taken back from its probabilities."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ConfigError, ModelError
from case_monitor.saliency import METHODS, Outputs, saliency_maps
from tests.support.toys import Ending, a_cnn, some_images

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])


def centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(1, keepdim=True)


def read(values: Tensor, kind: str = "auto") -> tuple[Tensor, str]:
    outputs = Outputs(None, kind)
    return outputs.logits(values, len(values)), outputs.kind


def test_logits_are_as_they_are() -> None:
    found, kind = read(LOGITS)
    assert kind == "logits"
    assert found is LOGITS


@pytest.mark.parametrize("kind", ["auto", "softmax"])
def test_the_logarithm_of_a_softmax_is_its_logits_up_to_what_all_share(kind: str) -> None:
    found, seen = read(LOGITS.softmax(1), kind)
    assert seen == "softmax"
    torch.testing.assert_close(centred(found), centred(LOGITS))


def test_a_sigmoid_that_is_declared_is_taken_back() -> None:
    torch.testing.assert_close(read(LOGITS.sigmoid(), "sigmoid")[0], LOGITS)
    assert read(LOGITS.sigmoid())[1] == "logits"  # which nobody can tell from two images


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_number_is_two_classes(shape: tuple[int, ...]) -> None:
    """By hand: the difference of the two is z, as the sigmoid of z is the softmax of [-z/2, z/2]."""
    z = torch.tensor([4.0, -1.0, 0.0])
    found, _ = read(z.view(shape))
    assert found.tolist() == [[-2.0, 2.0], [0.5, -0.5], [0.0, 0.0]]
    torch.testing.assert_close(found.softmax(1)[:, 1], z.sigmoid())
    torch.testing.assert_close(read(z.sigmoid().view(shape), "sigmoid")[0], found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_probabilities_in_16_bits_are_refused(dtype: torch.dtype) -> None:
    """Their gradient 1/p is infinite where p is small: what 16 bits hold of p is not what they hold of 1/p."""
    logits = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0)) * 3
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ModelError, match=f"probabilities of a softmax in {name} have no room .*; return the logits"):
        read(logits.softmax(1).to(dtype))
    with pytest.raises(ModelError, match="probabilities of a sigmoid"):
        read(logits.sigmoid().to(dtype), "sigmoid")
    assert read(logits.to(dtype))[1] == "logits"


def test_classes_that_are_too_unlikely_to_tell_apart_are_alike() -> None:
    """What lies below the smallest normal number is that, whatever is left of it; and has no gradient."""
    logits = torch.tensor([[0.0, -95.0, -110.0]], requires_grad=True)
    found, _ = read(logits.softmax(1), "softmax")
    assert found[0, 1].item() == found[0, 2].item() == pytest.approx(-87.34, abs=0.01)
    (gradient,) = torch.autograd.grad(found[0, 0] - found[0, 1], logits)
    assert bool(gradient.isfinite().all())


def test_a_sigmoid_that_is_saturated_is_as_sure_as_it_can_say() -> None:
    z = torch.tensor([[10.0, 17.5, 40.0, -40.0]], requires_grad=True)
    found, _ = read(z.sigmoid(), "sigmoid")
    assert found[0].tolist() == pytest.approx([10.0, 16.64, 16.64, -40.0], abs=0.01)
    (gradient,) = torch.autograd.grad(found.sum(), z)
    assert bool(gradient.isfinite().all())


def test_a_probability_of_0_is_the_smallest_that_is_not() -> None:
    found, _ = read(torch.tensor([[1.0, 0.0]]), "softmax")
    assert found[0, 0] == 0
    assert found[0, 1] == pytest.approx(-87.34, abs=0.01)  # log of the smallest normal float32
    assert bool(read(torch.tensor([[1.0, 0.0]]), "sigmoid")[0].isfinite().all())


def test_what_auto_was_seen_to_be_it_stays() -> None:
    """Else a model could change what its outputs mean from one image to the next; what is no probability is NaN."""
    outputs = Outputs(None, "auto")
    outputs.logits(LOGITS.softmax(1), 2)
    assert bool(outputs.logits(LOGITS, 2).isnan().any())
    later = Outputs(None, "auto")
    later.logits(LOGITS, 2)
    assert later.logits(LOGITS.softmax(1), 2).tolist() == LOGITS.softmax(1).tolist()


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([[0.6, 0.4], [0.6, 0.41]]),  # no sum of 1
        torch.tensor([[1.5, -0.5], [0.5, 0.5]]),  # a sum of 1, but no probabilities
        torch.tensor([[1.0], [1.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),  # a softmax that has no room for more, or anything else
        torch.tensor([[float("nan"), 0.5], [0.5, 0.5]]),
    ],
)
def test_what_is_no_softmax_is_taken_for_logits(values: Tensor) -> None:
    assert read(values)[1] == "logits"


def test_no_column_at_all_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"logits of shape \(2, num_classes\) were expected, shape \(2, 0\) came"):
        read(torch.empty(2, 0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ending", [lambda s: s.softmax(1), lambda s: s.log_softmax(1)], ids=["softmax", "log-softmax"])
def test_maps_of_probabilities_are_those_of_their_logits(method: str, ending: Callable[[Tensor], Tensor]) -> None:
    """Up to the mean that all logits share, which is taken away on both sides."""
    images, targets = some_images(), torch.tensor([[0, 1], [3, 2]])
    sets = {u: tuple(v for v in range(5) if v != u)[:3] for u in range(5)}

    def maps(model: nn.Module) -> Tensor:
        return saliency_maps(model, images, targets, target_layer="net.relu", methods=(method,), contrast_sets=sets)[
            method
        ]

    expected = maps(Ending(a_cnn(), lambda s: s - s.logsumexp(1, keepdim=True)))
    torch.testing.assert_close(maps(Ending(a_cnn(), ending)), expected, rtol=1e-4, atol=1e-6)


GROUPS = (1, 0, 1, 2, 0)


class Grouping(nn.Module):
    """The same classes as a network of its own: torch's logsumexp over each group's members."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        logits = self.net(images)
        members = [[u for u, of in enumerate(GROUPS) if of == group] for group in range(3)]
        return torch.stack([logits[:, m].logsumexp(1) for m in members], 1)


def test_a_group_is_as_probable_as_its_members_together() -> None:
    """By hand: the probabilities are 1/2, 1/4, 1/8, 1/16, 1/16."""
    p = torch.tensor([[0.5, 0.25, 0.125, 0.0625, 0.0625]])
    expected = torch.tensor([[0.3125, 0.625, 0.0625]])
    for values in (p.log() + 3, p):  # as logits, and as a softmax
        found = Outputs(None, "auto", GROUPS).logits(values, 1)
        torch.testing.assert_close(found.softmax(1), expected)


def test_large_and_missing_logits_are_no_trouble() -> None:
    infinity = float("inf")
    logits = torch.tensor([[2e4, 1e4, -3e4, 0, 1], [0, -infinity, 1, 2, 3], [0, 1, float("nan"), 2, 3]])
    found = Outputs(None, "logits", GROUPS).logits(logits, 3)
    assert found[0].tolist() == [1e4, 2e4, 0]
    assert found[1].tolist() == pytest.approx([3, 1.3132617, 2])
    assert found[2].isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_groups_keep_the_models_type(dtype: torch.dtype) -> None:
    logits = torch.tensor([[9.0, 9.0, 9.0, 1.0, 1.0]], dtype=dtype)
    found = Outputs(None, "logits", GROUPS).logits(logits, 1)
    assert found.dtype == dtype
    assert found.float()[0].tolist() == pytest.approx([9.0003, 9.6931, 1.0], rel=2e-2)


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_groups_are_those_of_a_network_that_has_them(method: str) -> None:
    """Every way that logits are made of: gradients, ablated and masked passes, and the product behind them."""
    net, images, targets = a_cnn(), some_images(), torch.tensor([[0, 1], [1, 2]])
    contrast = {0: [1], 1: [0, 2], 2: [0]}
    found = saliency_maps(
        net, images, targets, target_layer="relu", methods=(method,), contrast_sets=contrast, groups=GROUPS
    )[method]
    expected = saliency_maps(
        Grouping(net), images, targets, target_layer="net.relu", methods=(method,), contrast_sets=contrast
    )[method]
    assert expected.amax((-2, -1)).gt(0).any()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_an_exported_graph_is_grouped_as_its_network_is() -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(a_cnn(), (some_images(),), dynamic_shapes=({0: batch},)).module()
    images, targets, methods = some_images(), torch.tensor([[0, 1], [1, 2]]), ("case", "ablationcam", "scorecam")
    found = saliency_maps(exported, images, targets, target_layer="relu", methods=methods, groups=GROUPS)
    expected = saliency_maps(Grouping(a_cnn()), images, targets, target_layer="net.relu", methods=methods)
    for method in methods:
        torch.testing.assert_close(found[method], expected[method], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        (
            (0, 2, 2, 0, 0),
            r"indices of groups from 0 without a gap, one for each class of the model, were expected, \[0, 2",
        ),
        ((0, 0, 0, 0, 0), r"groups: .* expected, \[0\] came"),
        ((0, 1.0, 0, 0, 1), "1.0, a float, came"),
        ("01", "str came"),
    ],
)
def test_groups_that_are_none_are_refused(groups: tuple[int, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        saliency_maps(a_cnn(), some_images(), torch.tensor([[0], [1]]), target_layer="relu", groups=groups)


def test_groups_of_other_classes_are_refused() -> None:
    with pytest.raises(ModelError, match="4 logits were expected, one for each class of the class map, 5 came"):
        saliency_maps(a_cnn(), some_images(), torch.tensor([[0], [1]]), target_layer="relu", groups=(0, 1, 1, 0))
