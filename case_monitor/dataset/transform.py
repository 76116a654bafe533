"""From a picture, or a uint8 tensor, to the tensor that a model wants."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from case_monitor.settings import Preprocessing

Transform = Callable[[Image.Image | Tensor], Tensor]


class _CentreRoundedDown(torch.nn.Module):
    """The crop of `transformers`: where what is left over is odd, torchvision's is sometimes one pixel further on."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self._size = size

    def forward(self, image: Tensor | Image.Image) -> Tensor | Image.Image:
        (height, width), (had_height, had_width) = self._size, functional.get_size(image)
        if height > had_height or width > had_width:
            more = max(height - had_height, 0), max(width - had_width, 0)
            image = functional.pad(image, [more[1] // 2, more[0] // 2, (more[1] + 1) // 2, (more[0] + 1) // 2])
            had_height, had_width = functional.get_size(image)
        cut: Tensor | Image.Image = functional.crop(
            image, (had_height - height) // 2, (had_width - width) // 2, height, width
        )
        return cut


def input_transform(preprocessing: Preprocessing) -> Transform:
    """What a preprocessing says, as a function."""
    placing = [*_resize(preprocessing), *_crop(preprocessing)]
    colours: list[torch.nn.Module] = {1: [v2.Grayscale()], 3: [v2.RGB()]}.get(len(preprocessing.mean), [])
    steps = [
        *colours,
        *([v2.ToImage(), *placing] if not preprocessing.of_pictures else [*placing, v2.ToImage()]),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(list(preprocessing.mean), list(preprocessing.std)),
        v2.ToPureTensor(),
    ]
    transform: Transform = v2.Compose(steps)
    return transform


def mask_transform(preprocessing: Preprocessing) -> Callable[[npt.NDArray[np.bool_]], Tensor]:
    """Where the object of a mask (H, W) comes to lie in the model's input, as bool: where it has half of a pixel."""
    even = preprocessing.model_copy(update={"interpolation": "bilinear", "antialias": True})
    placing = v2.Compose([*_resize(even), *_crop(even), v2.ToPureTensor()])

    def place(mask: npt.NDArray[np.bool_]) -> Tensor:
        placed: Tensor = placing(tv_tensors.Image(torch.from_numpy(mask).float().unsqueeze(0)))
        return placed[0] >= 0.5

    return place


def _resize(preprocessing: Preprocessing) -> list[torch.nn.Module]:
    if preprocessing.resize is None:
        return []
    mode = InterpolationMode(preprocessing.interpolation)
    return [v2.Resize(preprocessing.resize, interpolation=mode, antialias=preprocessing.antialias)]


def _crop(preprocessing: Preprocessing) -> list[torch.nn.Module]:
    if preprocessing.crop is None:
        return []
    crop = preprocessing.crop if isinstance(preprocessing.crop, tuple) else (preprocessing.crop,) * 2
    return [_CentreRoundedDown(crop) if preprocessing.manner.startswith("transformers") else v2.CenterCrop(crop)]
