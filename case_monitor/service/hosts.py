"""The names that this service answers to, and the sites that may send it forms.

A page of another site can have its own name lead to our address (DNS rebinding), and then reads our answers as its own.
It cannot do that with an address in figures, so that those are always answered.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request

from case_monitor.settings import Settings


def is_known_host(request: Request, settings: Settings) -> bool:
    """Whether the request is for a name of ours."""
    name = _host_name(request.headers.get("host", ""))
    return name is not None and (_is_address(name) or name in _names(settings))


def comes_from_elsewhere(request: Request, settings: Settings) -> bool:
    """Whether a browser says that another site sends this; other clients say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("origin")
    if origin is None or site is not None:
        return False
    known = {request.headers.get("host", "").lower(), urlsplit(settings.service_url).netloc.lower()}
    return origin.partition("://")[2].lower() not in known


def _names(settings: Settings) -> set[str]:
    of_service = urlsplit(settings.service_url).hostname
    return {"localhost", *(name.lower().rstrip(".") for name in (of_service or "", *settings.allowed_hosts) if name)}


def _host_name(header: str) -> str | None:
    """The header without its port, in small letters; None where it is no name."""
    try:
        split = urlsplit(f"//{header}")
        _ = split.port  # raises where it is no number
    except ValueError:
        return None
    if split.path or split.query or split.fragment or "@" in header:
        return None
    return split.hostname and split.hostname.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
