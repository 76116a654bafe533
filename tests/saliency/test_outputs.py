"""Logits are read from what a model returns: as they are, or taken back from its probabilities."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ModelError
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
