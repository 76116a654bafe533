"""URLs with a password that libraries would take for something else: refused, and nothing of them repeated."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from urllib3.util import parse_url

from case_monitor.domain.errors import ConfigError
from case_monitor.settings import load_settings
from case_monitor.settings.server_urls import is_unmistakable
from tests.support.commands import run_cli

FIELDS = ("tracking_uri", "registry_uri", "database_url")
MISTAKABLE = [
    "postgresql+psycopg2://me:one@Two3@host/db",
    "postgresql://me:one/Two3@host/db",
    "postgresql://me:one@host:Two3@other/db",
    "postgresql://me:one@host/db?options=Two3@x",
    "http://me:one@Two3@host:5000",
    "http://me:one/Two3@host:5000",
    "https://me:one#Two3@host",
    "https://me:one?Two3@host",
    "http://me:one\\Two3@host",
    "http://me:12/Two3@host",
    "http://me:12#Two3@host",
    "http://me:one Two3@host",
    "http://me@Two3:one@host",
    "http://me:Two3",
    "http://me:one@host:Two3",
    "http:///me:Two3@host",
    "http:/me:Two3@host",
    "http:me:Two3@host",
    "mysql+pymysql://me:one@Two3@host/db",
]
CLEAR = [
    "sqlite:////data/@home/x y#1.db",
    "sqlite:///relative/@home/x.db",
    "sqlite:///C:\\Users\\me@work\\x.db",
    "/data/@home/mlruns",
    "file:///data/@home/mlruns",
    "./a:b@c",
    "databricks",
    "databricks://scope:key",
    "http://host:5000",
    "https://host/base/path/",
    "http://[::1]:5000",
    "http://me:one%40Two3@host:5000/path",
    "http://me:one:Two3@host",
    "http://:one@host",
    "postgresql+psycopg2://me:one%40Two3@[fd00::1]:5432/db?sslmode=require",
    "postgresql://me:@/postgres?host=/tmp/folder",
    "postgresql:///db?host=/tmp/a@b",
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("url", MISTAKABLE)
def test_it_is_refused_without_repeating_it(
    field: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"CASE_MONITOR_{field.upper()}"
    monkeypatch.setenv(name, url)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    said = str(refused.value)
    assert said.startswith(f"{name}: {field}: scheme://user:password@host:port/... was expected")
    assert "write @ as %40" in said
    assert "Two3" not in said
    assert "one" not in said


@pytest.mark.parametrize("url", CLEAR)
def test_what_is_clear_is_taken(url: str, tmp_path: Path) -> None:
    config = tmp_path / "case-monitor.yaml"
    config.write_text("".join(f"{field}: '{url}'\n" for field in FIELDS))
    settings = load_settings(config)
    assert settings.tracking_uri.endswith(url.removeprefix("sqlite:///"))


@given(st.text(st.characters(codec="ascii", exclude_characters="\n")))
def test_libraries_agree_about_what_is_taken(password: str) -> None:
    """Whatever stands in the password's place: all see it whole, and the host behind it."""
    url = f"postgresql://me:{password}@host/db"
    if is_unmistakable(url):
        seen = make_url(url)
        assert (seen.host, seen.database, seen.username) == ("host", "db", "me")
        assert parse_url(url.replace("postgresql", "http")).host == "host"
        assert re.fullmatch(r"[^@/?#\\\s]*", password)


@pytest.mark.parametrize("command", [["check", "digits/1"], ["db", "upgrade"], ["alerts"], ["doctor", "--quick"]])
def test_no_command_shows_the_rest_of_it(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_DATABASE_URL", "postgresql+psycopg2://me:geheim@Restwort@127.0.0.1:1/db")
    ran = run_cli(*command, cwd=tmp_path)
    assert ran.code == 2
    assert "write @ as %40" in ran.out + ran.err
    assert "Restwort" not in ran.out + ran.err
    assert "geheim" not in ran.out + ran.err
