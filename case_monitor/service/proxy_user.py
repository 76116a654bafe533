"""The name that a trusted proxy gives to whoever has logged in there."""

from ipaddress import IPv6Address, ip_address

from fastapi import Request

from case_monitor.settings import Settings, TrustedProxy

_MAX_NAME = 200


def proxy_user(request: Request, settings: Settings) -> str | None:
    """The name; None where there is none, or somebody else than the proxy sends it."""
    proxy = settings.trusted_proxy
    if proxy is None or not _is_trusted(request, proxy):
        return None
    came = request.headers.getlist(proxy.user_header)
    if len(came) != 1:  # of two, one is the client's own
        return None
    name = _text(came[0]).strip()
    return name if 0 < len(name) <= _MAX_NAME and name.isprintable() else None


def is_writer(user: str | None, settings: Settings) -> bool:
    """Whether this user of the proxy may write."""
    proxy = settings.trusted_proxy
    return proxy is not None and user is not None and (proxy.writers == "*" or user in proxy.writers)


def _is_trusted(request: Request, proxy: TrustedProxy) -> bool:
    """Whether the other end of the connection is the proxy."""
    try:
        peer = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in network for network in proxy.networks)


def _text(header: str) -> str:
    """Headers come as Latin-1; proxies send names in UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header
