"""Where models run."""

import torch

from case_monitor.domain.errors import ConfigError

_GIB = 1024**3


def pick_device(device: str) -> str:
    """The device to use for "auto", else what was asked for.

    Raises:
        ConfigError: torch does not know or does not have it.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device: {device!r} cannot be used: {' '.join(str(error).split())[:200]}") from None
    return device


def describe_device(asked: str) -> str:
    """The device that is used, in words.

    Raises:
        ConfigError: torch does not know or does not have it.
    """
    device = pick_device(asked)
    if not device.startswith("cuda"):
        return f"{device}; torch {torch.__version__} {'finds no GPU' if asked == 'auto' else 'has it'}"
    free, total = torch.cuda.mem_get_info(device)
    return f"{device}: {torch.cuda.get_device_name(device)}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
