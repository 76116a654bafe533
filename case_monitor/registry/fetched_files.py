"""Files from wherever fsspec reaches: object stores, web servers, archives. Downloaded where the credentials are."""

import os
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.logs.masking import remember_password, remember_query

_SILENCE_S = 60
"""Seconds that a web server may say nothing."""


def fetch(url: str, folder: Path) -> Path:
    """Download a file, or all that lies below a folder; where it is then.

    Raises:
        DataError: it cannot be reached, or holds what is no file of its own.
    """
    remember_password(url)
    remember_query(url)
    try:
        system, root = fsspec.core.url_to_fs(url, **_options(url))
        # What an archive holds is called after the archive.
        return _fetched(system, root, folder / _name(root or url.partition("::")[2]))
    except DataError:
        raise
    except ImportError as error:  # fsspec says which package
        msg = f"needs a package that is not installed: {short_message(error)}"
    except Exception as error:  # of any store's own client
        msg = f"cannot be downloaded: {type(error).__name__}: {short_message(error)}"
    raise DataError(f"split: {without_secrets(url)} {msg}") from None


def without_secrets(url: str) -> str:
    """Where it leads, without login and query, which is where a signed URL has its signature."""
    parts = [part.partition("?")[0].partition("#")[0] for part in url.split("::")]
    return short_message("::".join(parts))


def _options(url: str) -> dict[str, Any]:
    """A large file takes longer than the five minutes that aiohttp waits by itself."""
    if not url.startswith(("http://", "https://")) or "::" in url:
        return {}
    from aiohttp import ClientTimeout  # what fsspec asks web servers with

    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=_SILENCE_S, sock_read=_SILENCE_S)}}


def _fetched(system: Any, root: str, place: Path) -> Path:
    if system.info(root)["type"] == "file":
        system.get_file(root, str(place))
        return place
    found = system.find(root, detail=True)
    if not found:
        raise FileNotFoundError("there is nothing")
    places = {name: place / _below(root, name, entry) for name, entry in found.items()}
    for target in places.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    system.get(list(places), [os.fspath(target) for target in places.values()])
    return place


def _name(root: str) -> str:
    """What it is called, which people see as the split's name."""
    name = unquote(PurePosixPath(urlsplit(root).path).name) or "split"
    return "split" if name in {".", ".."} or "/" in name or "\0" in name else name


def _below(root: str, name: str, entry: dict[str, Any]) -> PurePosixPath:
    """The path of a file below what is downloaded: an archive may name others.

    Raises:
        DataError: it is none.
    """
    base = root.strip("/")
    inside = PurePosixPath(name.strip("/").removeprefix(base).lstrip("/") if base else name)
    lies_below = not base or name.strip("/").startswith(f"{base}/")
    if entry["type"] != "file" or not lies_below or inside.is_absolute() or ".." in inside.parts or "\0" in name:
        raise DataError(f"split: files below what is downloaded were expected, {name[:80]!r} ({entry['type']}) came")
    return inside
