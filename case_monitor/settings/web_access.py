"""Who may see the pages, and who may write through them."""

from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import NoDecode


def _as_list(value: object) -> object:
    """A variable holds names with spaces between them, or a list such as `["a.example", "b.example"]`."""
    if not isinstance(value, str) or value == "*":
        return value
    try:
        return yaml.safe_load(value) if value.lstrip().startswith("[") else value.split()
    except yaml.YAMLError:
        return [value]  # refused as one name


Token = Annotated[SecretStr, Field(min_length=16)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode, BeforeValidator(_as_list)]
HostNames = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$")], ...],
    NoDecode,
    BeforeValidator(_as_list),
]


class TrustedProxy(BaseModel):
    """A proxy that asks people who they are, and tells us in a header."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_as_list)] = Field(min_length=1)
    """Addresses of the proxy, such as `["10.0.0.7", "fd00::/64"]`. From any other address the header is ignored."""
    user_header: str = Field("X-Forwarded-User", pattern=r"^[A-Za-z0-9-]+$")
    """The header with the name of whoever has logged in. The proxy must replace what clients send under this name."""
    writers: Names | Literal["*"] = ()
    """The names of those who may acknowledge and mute alerts; `*` is everybody whom the proxy names."""
