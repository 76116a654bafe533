"""Which pictures can be taken for 8-bit RGB without a choice that only their owner can make."""

from pathlib import Path

from PIL import Image

_ONE_BYTE = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX"}


def why_no_rgb(image: Image.Image) -> str | None:
    """What keeps a picture from being taken for RGB, with the remedy; None: nothing.

    Where a channel has more than 8 bits, Pillow cuts off what is above 255, and transparency it forgets: either makes
    another picture of it, in silence.
    """
    if image.mode not in _ONE_BYTE:
        return (
            f"8 bits a channel were expected, mode {image.mode} came, whose scale is not known; save it in 8 bits as "
            "the model was trained on it, or return tensors from a split of kind function"
        )
    if image.has_transparency_data and _alpha(image).getextrema()[0] != 255:
        return (
            f"an opaque picture was expected, transparent pixels came (mode {image.mode}); save it as RGB, on the "
            "background that the model was trained on"
        )
    return None


def read_rgb(path: Path | str) -> Image.Image:
    """Open a file as every model gets it. The caller has seen that it can be taken for RGB (`why_no_rgb`)."""
    with Image.open(path) as image:
        return image.convert("RGB")


def _alpha(image: Image.Image) -> Image.Image:
    return image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A")
