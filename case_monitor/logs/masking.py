"""Secrets out of text that leaves the process: logs, tracebacks, error messages.

Which ones there are is known only to who reads the configuration, and what holds them is written by libraries. So they
are remembered for the whole process as soon as they are read.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

_LOGIN = "PREFECT_API_AUTH_STRING"  # user:password
_VARIABLES = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PREFECT_API_KEY",
    _LOGIN,
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_SHORTEST = 4  # what is shorter would mask half of every text; inside a URL it is masked all the same
_UNMISTAKABLE = 12  # what is shorter is masked as a word only: the password "postgres" is no part of "postgresql"
_ALLOWED_IN_PASSWORDS = "!$&'()*+,;=:"  # RFC 3986, userinfo
_PORT = re.compile(r"\d{1,5}(?:[/?#]|$)")
_IN_URL = re.compile(r"(://[^\s/:@\"'<>]*:)[^\s/\"'<>]+@")
_IN_QUERY = re.compile(r"([?&](?:\w*password|passwd|\w*token|\w*secret|api_?key)=)[^&\s\"'<>]+", re.IGNORECASE)
_IN_HEADER = re.compile(r"(\b(?:Basic|Bearer) )[\w.~+/=-]{8,}")

_remembered: set[str] = set()


def remember(*secrets: str) -> None:
    """Mask these from now on."""
    _remembered.update(secret for secret in secrets if len(secret) >= _SHORTEST)


def remember_password(url: str) -> None:
    """Mask the password of this URL wherever it stands, also alone.

    Where there is more than one @, the password may end at any: a path may hold one, and so may what is not escaped.
    """
    secrets = re.findall(r"[?&]\w*password=([^&]+)", url)
    for rest in re.findall(r"://[^/:@]*:(.*)", url):
        if not _PORT.match(rest):
            secrets += [rest[: at.start()] for at in re.finditer("@", rest)]
    remember(*secrets, *map(unquote, secrets))


def remember_query(url: str) -> None:
    """Mask the values in the query of this URL: a signed one has its signature there, under a name of its store's."""
    values = [value for query in url.split("?")[1:] for value in re.findall(r"=([^&#:\s]+)", query)]
    remember(*(value for text in values for value in (text, unquote(text)) if len(value) >= _UNMISTAKABLE))


def remember_url(url: str) -> None:
    """Mask this whole URL, and what in it may be a token: services are told them in the path, and even as the host."""
    rest = url.partition("://")[2]
    remember(url, rest)
    remember_password(url)
    host = rest.partition("/")[0].rpartition("@")[2].partition(":")[0]
    for part in re.split(r"[/@:?&=]+", rest):
        # A word such as `alerts` is left, and so is a host with a dot: the logs tell of them for other reasons.
        if re.search(r"\d", part) and not part.isdecimal() and (part != host or "." not in host):
            remember(part, unquote(part))


def masked(text: str) -> str:
    """The text without the secrets that are known, and without what stands in the place of one."""
    known = _remembered.union(secret for secret in _of_environment() if len(secret) >= _SHORTEST)
    if known:
        text = _pattern(frozenset(known)).sub(MASK, text)
    text = _IN_URL.sub(rf"\1{MASK}@", text)
    return _IN_HEADER.sub(rf"\1{MASK}", _IN_QUERY.sub(rf"\1{MASK}", text))


def _of_environment() -> Iterator[str]:
    for name in _VARIABLES:
        secret = os.environ.get(name, "")
        yield secret
        if name == _LOGIN:
            yield secret.partition(":")[2]


@lru_cache(maxsize=8)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    forms = {form for secret in secrets for form in _forms(secret)}
    return re.compile("|".join(_alone(form) for form in sorted(forms, key=len, reverse=True)))


def _forms(secret: str) -> Iterator[str]:
    """As it is, and as libraries write it into URLs, Python, JSON and HTML."""
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], escape(secret))
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe=_ALLOWED_IN_PASSWORDS))
    yield re.sub("%[0-9a-f]{2}", lambda code: code[0].upper(), secret)  # of a password with codes, as urllib3 has it


def _alone(form: str) -> str:
    literal = re.escape(form)
    return literal if len(form) >= _UNMISTAKABLE else rf"(?<![A-Za-z0-9]){literal}(?![A-Za-z0-9])"
