"""URLs of servers and databases, whose passwords must be told from what stands around them.

With an @ or / as it is in the password, each library takes another part of it for the host, the port or the path, and
shows that in its errors. So such a URL is refused before any library sees it, and no part of it is repeated.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError

_WEB = {"http", "https"}
_WITH_PORT = {*_WEB, "postgresql", "mysql", "mssql"}  # others, such as databricks://scope:key, have words there
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]*)(:\d{0,5})?")
_EXPECTED = (
    "scheme://user:password@host:port/... was expected; in user and password, and behind the host, write @ as %40, "
    "and in user and password also / as %2F, ? as %3F, # as %23, a space as %20"
)


def is_unmistakable(url: str) -> bool:
    """Whether all libraries see the same password and host in it. A path, also of SQLite, may hold any character.

    >>> is_unmistakable("postgresql://me:p%40ss@host/db"), is_unmistakable("sqlite:////data/@home/x.db")
    (True, True)
    >>> is_unmistakable("postgresql://me:p@ss@host/db"), is_unmistakable("http://me:pa/ss@host")
    (False, False)
    """
    scheme, mark, rest = url.partition("://")
    kind = scheme.lower().partition("+")[0]
    if not mark:
        return kind.partition(":")[0] not in _WEB
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if not authority:
        return kind not in _WEB
    host = authority.rpartition("@")[2]
    if rest.count("@") > authority.count("@") or authority.count("@") > 1 or re.search(r"\s", rest):
        return False
    if kind in _WITH_PORT and not _HOST_AND_PORT.fullmatch(host):
        return False
    return bool(host) or kind not in _WEB


def _checked(url: str) -> str:
    if not is_unmistakable(url):
        raise PydanticCustomError("url", _EXPECTED)
    return url


def _checked_secret(url: SecretStr) -> SecretStr:
    _checked(url.get_secret_value())
    return url


ServerUrl = Annotated[str, AfterValidator(_checked)]
SecretServerUrl = Annotated[SecretStr, AfterValidator(_checked_secret)]
