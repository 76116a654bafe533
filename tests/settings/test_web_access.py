"""Who may see and do what, as the configuration says it: mistakes are named, and no token is shown."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from case_monitor.domain.errors import ConfigError
from case_monitor.logs.masking import masked
from case_monitor.settings import Settings, load_settings

TOKEN = "a token of some length"


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CASE_MONITOR_")]:
        monkeypatch.delenv(name)


def load(folder: Path, text: str = "") -> Settings:
    file = folder / "case-monitor.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def test_tokens_from_the_environment_go_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_WRITE_TOKEN", "of the environment")
    settings = load(tmp_path, f"read_token: {TOKEN}\nwrite_token: hunter2 of the file")
    assert settings.read_token is not None
    assert settings.write_token is not None
    assert settings.read_token.get_secret_value() == TOKEN
    assert settings.write_token.get_secret_value() == "of the environment"
    assert TOKEN not in f"{settings!r} {settings!s} {settings.model_dump_json()}"


def test_tokens_are_masked_in_what_the_process_says(tmp_path: Path) -> None:
    load(tmp_path, "read_token: 0123456789abcdef-read\nwrite_token: 0123456789abcdef-write")
    assert masked("with 0123456789abcdef-read and 0123456789abcdef-write") == "with *** and ***"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("read_token: hunter2", "read_token: Value should have at least 16 items after validation, not 7"),
        ("write_token: hunter2", "write_token: Value should have at least 16 items after validation, not 7"),
        ("read_token: ''", "read_token: Value should have at least 16"),
        ("webhook_secret: hunter2", "webhook_secret: Value should have at least 16"),
        (
            "{read_token: hunter2-hunter2-x, write_token: hunter2-hunter2-x}",
            "write_token: another token than read_token",
        ),
    ],
)
def test_a_wrong_token_is_refused_and_not_repeated(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert f"case-monitor.yaml: {problem}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trusted_proxy: {writers: [ann]}", "trusted_proxy.networks: Field required"),
        ("trusted_proxy: {networks: []}", "trusted_proxy.networks: Tuple should have at least 1 item"),
        ("trusted_proxy: {networks: [10.0.0.1/8]}", "trusted_proxy.networks.0: value is not a valid IPv4 or IPv6"),
        ("trusted_proxy: {networks: [10.0.0.1], user_header: 'a b'}", "trusted_proxy.user_header: String should match"),
        ("trusted_proxy: {networks: [10.0.0.1], user: x}", "trusted_proxy.user: no such field"),
        ("allowed_hosts: ['http://a.example']", "allowed_hosts.0: String should match"),
        ("allowed_hosts: ['*']", "allowed_hosts.0: String should match"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert f"case-monitor.yaml: {problem}" in str(caught.value)


@pytest.mark.parametrize(("value", "writers"), [("*", "*"), ("ann bob", ("ann", "bob")), ('["ann b"]', ("ann b",))])
def test_a_proxy_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, writers: object
) -> None:
    monkeypatch.setenv("CASE_MONITOR_TRUSTED_PROXY__NETWORKS", "10.0.0.0/8 ::1")
    monkeypatch.setenv("CASE_MONITOR_TRUSTED_PROXY__WRITERS", value)
    monkeypatch.setenv("CASE_MONITOR_ALLOWED_HOSTS", "a.example b.example")
    settings = load(tmp_path)
    assert settings.trusted_proxy is not None
    assert settings.trusted_proxy.networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.trusted_proxy.writers == writers
    assert settings.trusted_proxy.user_header == "X-Forwarded-User"
    assert settings.allowed_hosts == ("a.example", "b.example")
