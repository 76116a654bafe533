"""What is read of a transform makes the very tensors that the transform makes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import ConvNeXt_Tiny_Weights, EfficientNet_B0_Weights, ResNet18_Weights, ViT_B_16_Weights
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms._presets import ImageClassification

from case_monitor.dataset.read_transform import preprocessing_of
from case_monitor.dataset.transform import input_transform
from case_monitor.domain.errors import ConfigError
from case_monitor.registry import model_metadata
from case_monitor.settings import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _picture(height: int, width: int, seed: int = 1) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


SIZES = ((50, 71), (71, 50), (301, 260), (260, 303), (224, 224), (500, 334), (427, 640), (31, 29), (97, 110))
PICTURES = [_picture(height, width) for height, width in SIZES]


def _timm(name: str, **config: Any) -> Callable[[Image.Image], torch.Tensor]:
    data = timm.data.resolve_model_data_config(timm.create_model(name)) | config
    transform: Callable[[Image.Image], torch.Tensor] = timm.data.create_transform(**data)
    return transform


TO_FLOAT = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]

TRANSFORMS: dict[str, tuple[Callable[[], Any], dict[str, object]]] = {
    "resnet18": (ResNet18_Weights.DEFAULT.transforms, {"resize": 256, "crop": 224, "mean": MEAN, "std": STD}),
    "convnext_tiny": (ConvNeXt_Tiny_Weights.DEFAULT.transforms, {"resize": 236, "interpolation": "bilinear"}),
    "efficientnet_b0": (EfficientNet_B0_Weights.DEFAULT.transforms, {"resize": 256, "interpolation": "bicubic"}),
    "vit_b_16": (ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1.transforms, {"resize": 384, "crop": 384}),
    "timm resnet18": (lambda: _timm("resnet18"), {"resize": 235, "crop": (224, 224), "interpolation": "bicubic"}),
    "timm vit": (lambda: _timm("vit_tiny_patch16_224"), {"resize": 248, "mean": (0.5, 0.5, 0.5)}),
    "timm squash": (lambda: _timm("resnet18", crop_mode="squash", crop_pct=0.9), {"resize": (248, 248)}),
    "tensors": (
        lambda: v2.Compose([v2.ToImage(), v2.Resize(64), v2.CenterCrop(57), *TO_FLOAT[1:]]),
        {"manner": "tensors"},
    ),
    "no smoothing": (
        lambda: v2.Compose([v2.ToImage(), v2.Resize(40, antialias=False), *TO_FLOAT[1:]]),
        {"manner": "tensors", "antialias": False},
    ),
    "as most write it": (
        lambda: transforms.Compose(
            [transforms.Resize((60, 48)), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
        ),
        {"resize": (60, 48), "crop": None, "std": (0.25, 0.25, 0.25)},
    ),
    "grey": (
        lambda: transforms.Compose(
            [transforms.Grayscale(), transforms.Resize(28, InterpolationMode.LANCZOS), transforms.ToTensor()]
        ),
        {"mean": (0.0,), "std": (1.0,), "interpolation": "lanczos"},
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_torchvision_and_timm(name: str) -> None:
    make, fields = TRANSFORMS[name]
    transform = make()
    read = preprocessing_of(transform)
    for field, value in fields.items():
        assert getattr(read, field) == value
    logged = model_metadata(preprocessing=read)["case_monitor"]["preprocessing"]  # type: ignore[index] # a dict of JSON
    ours = input_transform(Preprocessing.model_validate(logged))
    for picture in PICTURES:
        torch.testing.assert_close(ours(picture), transform(picture), rtol=0, atol=1e-6)


def _processors() -> dict[str, tuple[Any, dict[str, object]]]:
    from transformers import (
        BeitImageProcessor,
        CLIPImageProcessor,
        CLIPImageProcessorPil,
        ConvNextImageProcessor,
        DeiTImageProcessor,
        MobileNetV2ImageProcessor,
        PoolFormerImageProcessorPil,
        ViTImageProcessor,
        ViTImageProcessorPil,
    )

    cut = {"size": {"shortest_edge": 60}, "do_center_crop": True}
    return {
        "vit": (ViTImageProcessor(), {"resize": (224, 224), "crop": None, "manner": "transformers"}),
        "vit, pillow": (ViTImageProcessorPil(), {"resize": (224, 224), "manner": "transformers_pillow"}),
        "odd rest": (
            ViTImageProcessor(**cut, crop_size={"height": 51, "width": 45}),
            {"resize": 60},
        ),
        "no normalisation": (ViTImageProcessor(do_normalize=False), {"mean": (0, 0, 0), "std": (1, 1, 1)}),
        "larger than the image": (
            ViTImageProcessor(**cut, crop_size={"height": 81, "width": 64}),
            {},
        ),
        "clip, pillow": (CLIPImageProcessorPil(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}), {}),
        "poolformer, pillow": (PoolFormerImageProcessorPil(), {"manner": "transformers_pillow"}),
        "deit": (DeiTImageProcessor(), {"interpolation": "bicubic", "crop": (224, 224)}),
        "beit": (BeitImageProcessor(), {}),
        "clip": (CLIPImageProcessor(), {"resize": 224, "crop": (224, 224)}),
        "mobilenet": (MobileNetV2ImageProcessor(), {"resize": 256}),
        "convnext": (ConvNextImageProcessor(size={"shortest_edge": 224}), {"resize": 256, "crop": 224}),
        "convnext, large": (ConvNextImageProcessor(size={"shortest_edge": 384}), {"resize": (384, 384)}),
    }


PROCESSORS = _processors()


@pytest.mark.parametrize("name", PROCESSORS)
def test_transformers(name: str) -> None:
    processor, fields = PROCESSORS[name]
    read = preprocessing_of(processor)
    for field, value in fields.items():
        assert getattr(read, field) == value
    ours = input_transform(read)
    for picture in PICTURES:
        theirs = processor(images=picture, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(ours(picture), theirs, rtol=0, atol=1e-5)


class Preset(ImageClassification):
    """Does what it likes where nobody looks."""


class Resize:
    """Does what it likes."""

    def __call__(self, picture: Image.Image) -> Image.Image:
        return picture


def _refused() -> dict[str, tuple[Any, str]]:
    from transformers import EfficientNetImageProcessor, LevitImageProcessor, ViTImageProcessor

    return {
        "at random": (transforms.Compose([transforms.RandomCrop(20), *TO_FLOAT]), "a step RandomCrop came"),
        "another order": (v2.Compose([v2.CenterCrop(40), v2.Resize(60), *TO_FLOAT]), r"makes \(3, 60, 60\)"),
        "normalised twice": (v2.Compose([*TO_FLOAT, v2.Normalize(MEAN, STD)]), "up to"),
        "no tensor": (v2.Compose([v2.Resize(32)]), "it makes Image"),
        "bytes": (v2.Compose([v2.Resize(32), v2.PILToTensor()]), r"it makes \(3, 32, 32\) of uint8"),
        "longest": (v2.Compose([v2.Resize(60, max_size=80), *TO_FLOAT]), "Resize without max_size"),
        "padded": (timm.data.create_transform((3, 224, 224), crop_mode="border"), "a step ResizeKeepRatio came"),
        "a function": (np.asarray, "a step builtin_function_or_method of"),
        "nothing": (None, "a step NoneType of builtins came"),
        "now and then": (transforms.Compose([transforms.RandomApply([v2.CenterCrop(48)], 0.9)]), "RandomApply came"),
        "in any order": (transforms.RandomOrder([v2.Resize(60), v2.CenterCrop(48)]), "a step RandomOrder came"),
        "a preset of one's own": (Preset(crop_size=64, resize_size=64), f"a step Preset of {__name__} came"),
        "one's own by a known name": (v2.Compose([Resize(), *TO_FLOAT]), f"a step Resize of {__name__} came"),
        "no such interpolation": (
            v2.Compose([v2.Resize(60, InterpolationMode.NEAREST_EXACT), *TO_FLOAT]),
            "cannot be said: Input should be 'nearest'",
        ),
        "another size": (LevitImageProcessor(size={"shortest_edge": 224}), "it makes"),
        "another scale": (ViTImageProcessor(rescale_factor=1 / 128), "up to"),
        "an offset": (EfficientNetImageProcessor(rescale_offset=True), "up to"),
        "thumbnail": (ViTImageProcessor(size={"max_height": 64, "max_width": 64}), "a height and a width"),
    }


REFUSED = _refused()


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_fields_cannot_say_is_refused(name: str) -> None:
    transform, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message) as caught:
        preprocessing_of(transform)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "view"),
    [
        ({"resize": (64, 48)}, "whole"),
        ({"resize": (64, 48), "crop": (64, 48)}, "whole"),
        ({"resize": (64, 48), "crop": (32, 36)}, "0.5 of the height and 0.75 of the width"),
        ({"resize": 64, "crop": (32, 48)}, "central part, 0.5 x 0.75 of the shorter side"),
        ({"resize": 64, "crop": (56, 56)}, "central square, 0.875 of the shorter side"),
        ({"crop": (10, 20)}, "central part of 10 x 20 pixels"),
    ],
)
def test_fields_of_view(fields: dict[str, Any], view: str) -> None:
    assert Preprocessing(**fields).field_of_view == view


def test_what_was_not_there_before_changes_no_identity() -> None:
    assert Preprocessing(resize=9).identity == {
        "resize": 9,
        "crop": None,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert Preprocessing(interpolation="bicubic").identity["interpolation"] == "bicubic"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"antialias": False}, "manner: tensors or transformers was expected"),
        ({"antialias": False, "manner": "transformers_pillow"}, "transformers_pillow came"),
        ({"manner": "tensors", "interpolation": "box"}, "interpolation: nearest, bilinear"),
        ({"resize": (3, 0)}, "resize"),
        ({"interpolation": "cubic"}, "interpolation"),
    ],
)
def test_what_nobody_can_do_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing(**fields)
