"""What this machine brings: the device that the configuration asks for, and the channels of notices."""

from collections.abc import Iterator

import torch
from pydantic import SecretStr

from case_monitor.alerts.send import is_valid
from case_monitor.doctor.check import Answer, Check, ask, failed, ok
from case_monitor.measuring.device import pick_device
from case_monitor.settings import Settings

DEVICE, NOTIFY = "device", "notify"

_GIB = 1024**3


def device_check(asked: str) -> Check:
    """Whether torch has the device."""
    remedy = "set `device: auto`, or install a torch and a driver that know it"
    return ask(DEVICE, lambda: _device(asked), remedy=remedy, limit_s=60)  # the first use of a GPU takes seconds


def notify_checks(settings: Settings) -> Iterator[Check]:
    """Whether Apprise understands every URL. Nothing is sent, and none is shown."""
    for i, url in enumerate(settings.notify):
        remedy = f"correct `notify` ({i}); Apprise's documentation has the form of every service's URL"

        def look(url: SecretStr = url, remedy: str = remedy) -> Answer:
            scheme = url.get_secret_value().partition("://")[0]
            if is_valid(url):
                return ok(f"a channel of {scheme}; nothing was sent")
            return failed(f"Apprise does not understand this {scheme}:// URL", remedy)

        yield ask(f"{NOTIFY}.{i}", look, remedy=remedy)


def _device(asked: str) -> Answer:
    device = pick_device(asked)
    if not device.startswith("cuda"):
        return ok(f"{device}; torch {torch.__version__} {'finds no GPU' if asked == 'auto' else 'has it'}")
    free, total = torch.cuda.mem_get_info(device)
    memory = f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    return ok(f"{device}: {torch.cuda.get_device_name(device)}, {memory}")
