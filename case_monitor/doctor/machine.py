"""What this machine brings: the device that is asked for, how far it can shut models in, the channels of notices."""

from collections.abc import Iterator

from pydantic import SecretStr

from case_monitor.alerts.send import is_valid
from case_monitor.doctor.check import Answer, Check, ask, failed, ok, warning
from case_monitor.isolation.confine.level import lacking
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.settings import Settings

DEVICE, ISOLATION, NOTIFY = "device", "isolation", "notify"


def device_check(asked: str) -> Check:
    """Whether torch has the device."""
    remedy = "set `device: auto`, or install a torch and a driver that know it"
    return ask(DEVICE, lambda: _device(asked), remedy=remedy, limit_s=60)  # the first use of a GPU takes seconds


def isolation_check(*, required: bool) -> Check:
    """How far this machine can shut models in."""
    remedy = (
        "run on Linux 5.13 or newer with Landlock and seccomp, in a container under its engine's default profile; "
        "`isolation: { level: required }` refuses to run a model without them"
    )
    return ask(ISOLATION, lambda: _isolation(required=required, remedy=remedy), remedy=remedy)


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


def _isolation(*, required: bool, remedy: str) -> Answer:
    missing = lacking()
    if missing is None:
        return ok(
            "models run in processes of their own, which reach no file but their own and the libraries, no network"
        )
    found = f"models run in processes of their own, which can read what this user can: {missing}"
    return failed(f"{found}; the configuration requires more", remedy) if required else warning(found, remedy)


def _device(asked: str) -> Answer:
    place = RemotePlace()
    try:
        return ok(place.describe_device(asked))
    finally:
        place.end()
