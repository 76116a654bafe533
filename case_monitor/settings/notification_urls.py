"""Where notices go. The URLs hold passwords and tokens, so that no error repeats them."""

import re
from typing import Annotated

import yaml
from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def _as_list(value: object) -> object:
    """A variable holds one URL, or a list such as `["json://host/path", "mailto://..."]`."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value) if value.lstrip().startswith("[") else value.split()
    except yaml.YAMLError:
        return [value]  # refused as one URL, below


def _with_schemes(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for i, url in enumerate(urls):
        if not _URL.fullmatch(url.get_secret_value()):
            msg = f"{i}: a URL of Apprise was expected, such as json://host/path; what came may be secret"
            raise ValueError(msg)
    return urls


NotificationUrls = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_as_list), AfterValidator(_with_schemes)]
