"""The entry point: what it refuses, what it leaves untouched, and the contexts it may be called in."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import CaseMonitorError, ConfigError, ModelError, TargetLayerError
from case_monitor.saliency import METHODS, find_target_layer, resize_maps, saliency_maps
from tests.support.toys import SmallCNN, a_cnn, some_images

TARGETS = torch.tensor([[0, 1], [2, 3]])


class Breaks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("the head broke")


def in_training() -> SmallCNN:
    """A model as a training loop holds it: modes and grad flags mixed, a hook of somebody else's."""
    model = a_cnn(1).train()
    model.features[1].eval()
    model.head.bias.requires_grad_(False)
    model.relu.register_forward_hook(lambda *_: None)
    return model


def state(model: nn.Module) -> dict[str, object]:
    found: dict[str, object] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found |= {f"{name} requires_grad": p.requires_grad for name, p in model.named_parameters()}
    found |= {f"{name} grad": p.grad for name, p in model.named_parameters()}
    found |= {f"{name} training": m.training for name, m in model.named_modules()}
    found |= {f"{name} hooks": tuple(m._forward_hooks) for name, m in model.named_modules()}
    return found


def assert_same_state(before: dict[str, object], after: dict[str, object]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name], name


def test_the_model_is_left_as_it_was_found() -> None:
    model = in_training()
    before = state(model)
    saliency_maps(model, some_images(), TARGETS, target_layer="relu", methods=tuple(METHODS))
    assert_same_state(before, state(model))


@pytest.mark.parametrize("where", ["relu", "pool", "head"])
def test_the_model_is_left_as_it_was_found_also_after_an_error(where: str) -> None:
    model = in_training()
    setattr(model, where, Breaks())
    before = state(model)
    with pytest.raises(RuntimeError, match="the head broke"):
        saliency_maps(model, some_images(), TARGETS, target_layer="features")
    assert_same_state(before, state(model))


def test_maps_are_those_of_evaluation_mode() -> None:
    trained = a_cnn(1).train()
    ours = saliency_maps(trained, some_images(), TARGETS, target_layer="relu")["case"]
    assert torch.equal(ours, saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="relu")["case"])


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_caller_may_be_in_any_grad_mode(context: Callable[[], torch.no_grad]) -> None:
    expected = saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="relu", methods=tuple(METHODS))
    model = a_cnn(1)
    with context():
        images, targets = some_images(), TARGETS.clone()
        maps = saliency_maps(model, images, targets, target_layer="relu", methods=tuple(METHODS))
        again = saliency_maps(model, images, targets, target_layer=model.relu, methods=tuple(METHODS))
    for method in METHODS:
        torch.testing.assert_close(maps[method], expected[method])
        torch.testing.assert_close(again[method], expected[method])


class LooksAtTheImage(nn.Module):
    """A layer that passes the image on, and a head that needs it again: inference tensors would be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return (self.layer(images) * images).mean((-2, -1))


def test_inference_tensors_may_reach_the_layer_and_the_head() -> None:
    model = LooksAtTheImage()
    expected = saliency_maps(model, some_images(), TARGETS % 3, target_layer="layer")["case"]
    with torch.inference_mode():
        maps = saliency_maps(model, some_images(), TARGETS % 3, target_layer="layer")["case"]
    assert expected.max() > 0
    torch.testing.assert_close(maps, expected)


def test_images_that_require_grad_get_no_gradient_and_maps_carry_no_graph() -> None:
    images = some_images().requires_grad_()
    maps = saliency_maps(a_cnn(1), images, TARGETS, target_layer="relu", methods=tuple(METHODS))
    assert images.grad is None
    assert not any(m.requires_grad for m in maps.values())


def test_every_method_gives_the_same_alone_as_together() -> None:
    together = saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="relu", methods=tuple(METHODS))
    for method in METHODS:
        alone = saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="relu", methods=(method,))
        torch.testing.assert_close(alone[method], together[method], rtol=1e-5, atol=1e-7)


def test_maps_have_the_asked_size_rows_first_and_are_not_negative() -> None:
    model, images = a_cnn(1), some_images()
    layer = saliency_maps(model, images, TARGETS, target_layer="relu", methods=tuple(METHODS), size="layer")
    full = saliency_maps(model, images, TARGETS, target_layer="relu", methods=tuple(METHODS))
    for method in METHODS:
        assert layer[method].shape == (2, 2, *((12, 16) if method == "occlusion" else (6, 8)))
        assert full[method].shape == (2, 2, 12, 16)
        assert full[method].dtype == torch.float32
        assert (full[method] >= 0).all()
        assert torch.equal(full[method], resize_maps(layer[method], (12, 16)))


def test_resizing_is_bilinear_with_half_pixel_centres() -> None:
    resized = resize_maps(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
    assert resized.flatten().tolist() == [0.0, 0.25, 0.75, 1.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"methods": ("case", "gradcamm")}, ConfigError, "'gradcamm' came; 'gradcam' was probably meant"),
        ({"methods": ("Grad-CAM",)}, ConfigError, "'Grad-CAM' came; 'gradcam' was probably meant"),
        ({"methods": ("GradCAM++",)}, ConfigError, r"'GradCAM\+\+' came; 'gradcam\+\+' was probably meant"),
        ({"methods": ("Score CAM",)}, ConfigError, "'scorecam' was probably meant"),
        ({"methods": ("lime",)}, ConfigError, "'lime' came$"),
        ({"methods": (3,)}, ConfigError, "3 came$"),
        (
            {"methods": "gradcam"},
            ConfigError,
            r'a sequence of names .* the text \'gradcam\' came; write \("gradcam",\)',
        ),
        ({"methods": ()}, ConfigError, "at least one name was expected, none came"),
        ({"methods": ("case", "gradcam", "case")}, ConfigError, "'case' twice came"),
        ({"size": "full"}, ConfigError, "'full' came"),
        ({"size": (7, 7)}, ConfigError, r"\(7, 7\) came"),
        ({"batch_size": 0}, ConfigError, "batch_size: 1 or more was expected, 0 came"),
        ({"batch_size": 2.5}, ConfigError, "2.5 came"),
        ({"batch_size": True}, ConfigError, "True came"),
        ({"target_layer": "nowhere"}, TargetLayerError, "'nowhere' does not exist.*relu, pool, head"),
        ({"target_layer": nn.ReLU()}, TargetLayerError, "a foreign ReLU came"),
        ({"target_layer": "head"}, TargetLayerError, r"'head'.*shape \(2, 5\) came"),
        ({"images": torch.rand(3, 12, 16)}, ConfigError, r"images: .*\(3, 12, 16\) came; write images\[None\]"),
        ({"images": torch.rand(0, 3, 12, 16)}, ConfigError, "with B at least 1"),
        ({"images": np.zeros((2, 3, 12, 16), np.float32)}, ConfigError, "images: a tensor .*, ndarray came"),
        (
            {"images": (torch.rand(2, 3, 12, 16) * 255).byte()},
            ConfigError,
            "floating-point numbers .*, uint8 came; scale",
        ),
        ({"targets": torch.tensor([0, 1])}, ConfigError, r"targets: .*\(2,\) came; write targets\[:, None\]"),
        ({"targets": torch.tensor([[0]])}, ConfigError, r"targets: a tensor \(2, T\) .*\(1, 1\) came"),
        ({"targets": torch.zeros(2, 0, dtype=torch.int64)}, ConfigError, r"\(2, 0\) came"),
        ({"targets": [[0], [1]]}, ConfigError, r"list came; write torch.tensor"),
        ({"targets": torch.tensor([[0.0], [1.0]])}, ConfigError, "integers were expected, float32 came"),
        ({"targets": torch.tensor([[True], [False]])}, ConfigError, "integers were expected, bool came"),
        ({"targets": torch.tensor([[0], [5]])}, ConfigError, "below 5 were expected, 5 came"),
        ({"targets": torch.tensor([[0], [-1]])}, ConfigError, "-1 came"),
        ({"contrast_sets": {0: [1, 5]}}, ConfigError, "class 0.*5 came"),
        ({"contrast_sets": {0: [1, -1]}}, ConfigError, "class 0.*-1 came"),
        ({"contrast_sets": {0: {1: 0.5, 0: 0.5}}}, ConfigError, "contrast set of class 0.*0 came"),
        ({"images": torch.full((2, 3, 12, 16), float("nan"))}, ConfigError, "finite numbers were expected, NaN"),
        (
            {"outputs": "Sigmoid"},
            ConfigError,
            "outputs: one of auto, logits, softmax, sigmoid was expected, 'Sigmoid' came",
        ),
        ({"outputs": None}, ConfigError, "None came"),
        ({"target_layer": 3}, ConfigError, "target_layer: a name, a module or a TargetLayer was expected, int came"),
        ({"target_layer": ["relu"]}, ConfigError, "list came"),
        ({"amp": True}, ConfigError, r"amp: torch\.float16, torch\.bfloat16 or None was expected, True came"),
        ({"amp": torch.int8}, ConfigError, r"torch\.int8 came"),
        ({"progress": 3}, ConfigError, "progress: a function was expected, int came"),
        ({"min_max": "no"}, ConfigError, "min_max: True or False was expected, 'no' came"),
        ({"compile": "no"}, ConfigError, "compile: True or False was expected, 'no' came"),
        ({"contrast_sets": {0: torch.tensor([1.0])}}, ConfigError, "a sequence of classes.*Tensor came"),
        ({"contrast_sets": {7: [1]}}, ConfigError, "contrast_sets: class indices below 5 were expected, 7 came"),
        ({"contrast_sets": {"0": [1]}}, ConfigError, "contrast_sets: class indices .*, '0', a str, came"),
        ({"contrast_sets": {0: ["1"]}}, ConfigError, "contrast set of class 0: class indices .*, '1', a str, came"),
        ({"contrast_sets": {0: "12"}}, ConfigError, "str came"),
        ({"contrast_sets": {0: 1}}, ConfigError, "a sequence of classes.*int came"),
        ({"contrast_sets": {0: [1, 1]}}, ConfigError, "each class once was expected, 1 twice came"),
        ({"contrast_sets": {0: {1: -0.5}}}, ConfigError, "finite weights of 0 or more were expected, -0.5 came"),
        ({"contrast_sets": {0: {1: float("nan")}}}, ConfigError, "nan came"),
        ({"contrast_sets": [[1], [0]]}, ConfigError, "contrast_sets: a mapping .*, list came"),
        ({"contrast_k": 0}, ConfigError, "contrast_k: 1 or more was expected, 0 came"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, error: type[CaseMonitorError], message: str) -> None:
    given = {"images": some_images(), "targets": TARGETS, "target_layer": "relu"} | arguments
    with pytest.raises(error, match=message):
        saliency_maps(a_cnn(1), given.pop("images"), given.pop("targets"), **given)


def test_integers_and_members_of_other_libraries_count() -> None:
    given = {"target_layer": "relu", "methods": ("case",)}
    expected = saliency_maps(a_cnn(1), some_images(), TARGETS, contrast_sets={0: [1, 2]}, **given)["case"]
    for sets in ({np.int64(0): np.array([1, 2]).tolist()}, {0: torch.tensor([1, 2])}, {0: (np.int32(1), np.int32(2))}):
        assert torch.equal(
            saliency_maps(a_cnn(1), some_images(), TARGETS, contrast_sets=sets, **given)["case"], expected
        )
    one = {"contrast_sets": {0: [1, 2]}, "batch_size": np.int64(1)} | given
    torch.testing.assert_close(saliency_maps(a_cnn(1), some_images(), TARGETS, **one)["case"], expected)
    small = TARGETS.to(torch.int32)
    assert torch.equal(
        saliency_maps(a_cnn(1), some_images(), small, contrast_sets={0: [1, 2]}, **given)["case"], expected
    )


def test_a_layer_can_be_found() -> None:
    found = saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="auto")["case"]
    layer = find_target_layer(a_cnn(1), some_images())
    assert torch.equal(found, saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer=layer)["case"])


def test_what_is_no_module_is_named() -> None:
    with pytest.raises(ConfigError, match=r"model: a torch\.nn\.Module was expected, function came"):
        saliency_maps(lambda images: images, some_images(), TARGETS, target_layer="relu")


def test_a_layer_that_is_called_twice_is_refused() -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(TargetLayerError, match="one call per forward pass was expected, 2 came"):
        saliency_maps(model, some_images(), TARGETS, target_layer="1")


@pytest.mark.parametrize("tail", [nn.Identity(), nn.Flatten(0)])
def test_a_model_that_does_not_return_logits_is_refused(tail: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), tail)
    with pytest.raises(ModelError, match="logits of shape"):
        saliency_maps(model, some_images(), TARGETS, target_layer="0")
