"""Where models run."""

import torch

from case_monitor.domain.errors import ConfigError


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
