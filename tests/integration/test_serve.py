"""`case-monitor serve` as its own process: what it says before it serves, and when it cannot."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from case_monitor.store.migrate import downgrade, upgrade
from case_monitor.store.open import open_store
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation
from tests.support.forked_commands import Forked
from tests.support.servers import end_group, free_port

TOKEN = "hunter2 of some length"
COMMAND = [sys.executable, "-c", "from case_monitor.cli import main; main()", "serve"]


def environment(database_url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CASE_MONITOR_")}
    return kept | {"CASE_MONITOR_DATABASE_URL": database_url, "DO_NOT_TRACK": "true"} | more


def refused(forked_cli: Forked, folder: Path, database_url: str) -> str:
    variables = {"CASE_MONITOR_DATABASE_URL": database_url}
    ran = forked_cli("serve", "--port", str(free_port()), cwd=folder, environment=variables)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    return ran.err


@contextmanager
def serving(folder: Path, database_url: str, *options: str, **more: str) -> Iterator[tuple[str, Path]]:
    """The address of a service on a port of its own, and the file with what it says."""
    port, log = free_port(), folder / "said.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, "--port", str(port), *options],
            env=environment(database_url, **more),
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}", log
            process.send_signal(signal.SIGINT)
            process.wait(30)
        finally:
            end_group(process)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(480):
        assert process.poll() is None, log.read_text()
        try:
            assert httpx.get(f"{url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            time.sleep(0.25)
        else:
            return
    pytest.fail(f"the service did not become ready:\n{log.read_text()}")


def test_without_a_database_server(tmp_path: Path, forked_cli: Forked) -> None:
    said = refused(forked_cli, tmp_path, f"postgresql+psycopg2://me:hunter2@127.0.0.1:{free_port()}/db")
    assert "cannot open postgresql+psycopg2://me:***@127.0.0.1" in said
    assert "set database_url right, or start the server (case-monitor doctor)" in said
    assert "hunter2" not in said


def test_with_an_empty_database_of_a_server(tmp_path: Path, postgres_url: str, forked_cli: Forked) -> None:
    assert "has no case_monitor tables yet; run: case-monitor db upgrade" in refused(forked_cli, tmp_path, postgres_url)


def test_with_an_old_schema(tmp_path: Path, forked_cli: Forked) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    upgrade(url)
    downgrade(url, "0003")
    assert "has the older schema 0003; run: case-monitor db upgrade" in refused(forked_cli, tmp_path, url)


def test_without_evaluations(tmp_path: Path) -> None:
    """Also where the file did not exist: a wrong folder is seen by this."""
    with serving(tmp_path, "sqlite:///new.db") as (url, log):
        assert httpx.get(f"{url}/").status_code == 200
    assert "new.db holds no evaluation yet; make one with: case-monitor check NAME/VERSION" in log.read_text()
    assert "Others can reach it" not in log.read_text()


def test_for_others_without_a_token_it_warns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'some.db'}"
    save_evaluation(open_store(url), an_evaluation())
    with serving(tmp_path, url, "--host", "0.0.0.0") as (_, log):
        pass
    said = log.read_text()
    assert "Warning: everybody who reaches this address can read everything: set read_token, or trusted_proxy." in said
    assert "no evaluation" not in said


def test_no_header_stands_for_the_peer(tmp_path: Path) -> None:
    """Uvicorn believes X-Forwarded-For from loopback unless it is told not to."""
    networks = {"CASE_MONITOR_TRUSTED_PROXY__NETWORKS": "10.0.0.7", "CASE_MONITOR_READ_TOKEN": TOKEN}
    forged = {"X-Forwarded-User": "ann", "X-Forwarded-For": "10.0.0.7"}
    with serving(tmp_path, "sqlite:///new.db", "--host", "0.0.0.0", **networks) as (url, log):
        assert httpx.get(f"{url}/", headers=forged).status_code == 401
        assert httpx.get(f"{url}/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert httpx.get(f"{url}/", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert "hunter2" not in log.read_text()
    assert "Warning" not in log.read_text()


def test_the_proxy_is_known_by_its_address(tmp_path: Path) -> None:
    with serving(tmp_path, "sqlite:///new.db", CASE_MONITOR_TRUSTED_PROXY__NETWORKS="127.0.0.1") as (url, _):
        headers = {"X-Forwarded-User": "ann", "X-Forwarded-For": "192.0.2.1"}
        assert httpx.get(f"{url}/session.json", headers=headers).json()["user"] == "ann"
        assert httpx.get(f"{url}/").status_code == 401


def test_a_request_that_does_not_end_is_no_error_of_ours(tmp_path: Path) -> None:
    """The command's own server has the limit; here it is short, so that nobody waits."""
    (tmp_path / "sitecustomize.py").write_text(
        "from case_monitor.service.request_deadline import RequestDeadline\nRequestDeadline.limit_s = 0.5\n"
    )
    more = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with serving(tmp_path, "sqlite:///new.db", CASE_MONITOR_WEBHOOK_SECRET=TOKEN, **more) as (url, log):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(b"POST /webhooks/mlflow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert connection.recv(1000) == b""
        assert httpx.get(f"{url}/readyz").status_code == 200
    assert "Traceback" not in log.read_text()
