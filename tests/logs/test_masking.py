"""Secrets out of text, in the forms in which libraries write them."""

import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from urllib3.util import parse_url

from case_monitor.logs.foreign_errors import short_message
from case_monitor.logs.masking import masked, remember, remember_password, remember_url
from case_monitor.settings import load_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:s3cret@host/x", "http://me:***@host/x"),
        ("postgresql+psycopg2://:s3cret@/db", "postgresql+psycopg2://:***@/db"),
        ("redis://me:p@ss:w0rd@host:1", "redis://me:***@host:1"),
        ('{"a": "http://u:pw1@h", "b": "x@y"}', '{"a": "http://u:***@h", "b": "x@y"}'),
        ("http://host:5000/path@2x and me@host", "http://host:5000/path@2x and me@host"),
        ("postgresql://u@h/db?sslmode=on&password=s3cret&x=1", "postgresql://u@h/db?sslmode=on&password=***&x=1"),
        ("GET /hook?token=abc", "GET /hook?token=***"),
        ("'Authorization': 'Basic bWU6czNjcmV0'", "'Authorization': 'Basic ***'"),
        ("Basic idea", "Basic idea"),
    ],
)
def test_what_stands_in_the_place_of_a_secret(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize("secret", ["s3cret/p@ss word", "it's\n1", "postgres", "ünicode", "a.b*c", "<a>&b", "x" * 300])
def test_a_remembered_password_in_every_form(secret: str) -> None:
    remember_password(f"postgresql://me:{quote(secret, safe='')}@host/db")
    url = f"http://me:{quote(secret, safe='')}@host/"
    by_urllib3 = str(parse_url(url).auth).partition(":")[2]
    in_json, in_html = json.dumps(secret)[1:-1], html.escape(secret)
    for form in (secret, quote(secret), quote(secret, safe=""), repr(secret), by_urllib3, in_json, in_html):
        assert secret not in masked(f"the password is {form}!")
        assert "***" in masked(f"the password is {form}!")
    assert masked(json.dumps(["postgresql"])) == '["postgresql"]'


def test_a_password_with_codes_as_urllib3_writes_it() -> None:
    url = "http://me:a%2fb!c%3a%40d@host"
    remember_password(url)
    written = str(parse_url(url).auth)
    assert written == "me:a%2Fb!c%3A%40d"
    assert masked(written) == "me:***"
    assert masked("a/b!c:@d and a%2Fb!c:%40d") == "*** and ***"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:geheim@host/path@2x",
        "mailto://me:geheim@host/to@example.com",
        "postgresql://me:geheim@host/db?options=a@b",
        "postgresql://me:geheim@un-escaped@host/db",
    ],
)
def test_an_at_sign_behind_the_password(url: str) -> None:
    remember_password(url)
    assert masked("geheim") == "***"
    assert masked("host db path example.com") == "host db path example.com"


def test_a_port_is_no_password() -> None:
    remember_password("http://mlflow.example:5000/path@2x")
    assert masked("http://other.example:5000/path is 5000/path") == "http://other.example:5000/path is 5000/path"


def test_a_secret_at_the_end_of_a_long_message() -> None:
    remember("the-long-secret")
    assert "secret" not in short_message("x" * 290 + " the-long-secret")
    assert "the" not in short_message("x" * 290 + " the-long-secret")


def test_what_is_no_secret_stays() -> None:
    remember("postgres", "ab", "")
    assert masked("postgresql, about abs: ab") == "postgresql, about abs: ab"
    assert masked("postgres://postgres") == "***://***"


def test_the_parts_of_a_notification_url() -> None:
    remember_url("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    remember_url("json://me:geheim@alerts.example.com:8080/hook/t0ken")
    text = "POST https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ failed"
    assert masked(text) == "POST https://hooks.slack.com/services/*** failed"
    assert masked("token TIiajkdnlazkcOXrIdevi7FQ of T1JJ3T3L2") == "token *** of ***"
    assert masked("http://alerts.example.com:8080/hook/t0ken") == "http://alerts.example.com:8080/hook/***"
    assert masked("geheim") == "***"
    assert masked("hook alerts 8080") == "hook alerts 8080"
    remember_url("json://[::1/\u2100x")  # what urllib would not split
    assert masked("json://me:geheim@alerts.example.com:8080/hook/t0ken") == "***"


def test_the_variables_of_mlflow_and_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, f"value-of-{name.lower()}")
        assert masked(f"<value-of-{name.lower()}>") == "<***>"
        monkeypatch.delenv(name)
        assert masked(f"<value-of-{name.lower()}>") == f"<value-of-{name.lower()}>"


def test_reading_a_configuration_remembers_what_is_secret_in_it(tmp_path: Path) -> None:
    config = tmp_path / "case-monitor.yaml"
    config.write_text(
        "database_url: postgresql://me:first%2Fone@host/db?sslpassword=fifth-one\ntracking_uri: http://me:second-one@host\n"
        "notify: ['json://me:third-one@host/f0urth']\n"
        "models: {d: {split: {kind: mlflow_artifact, uri: 'https://me:sixth-one@host/x@2.npz', format: npz}}}\n"
    )
    load_settings(config)
    seen = masked("first/one first%2Fone second-one third-one f0urth fifth-one sixth-one host")
    assert seen == "*** *** *** *** *** *** *** host"


def test_the_password_of_a_login_for_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:geheim-7")
    assert masked("admin:geheim-7, or geheim-7 of admin") == "***, or *** of admin"
