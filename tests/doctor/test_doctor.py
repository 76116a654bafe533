"""`case-monitor doctor` beside things that are really wrong, or really there: names, remedies, and no secret."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow.tracking import MlflowClient
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from torch import Tensor, nn

from case_monitor.doctor.check import Answer, Check, Outcome, ask, ok
from case_monitor.doctor.database import database_checks
from case_monitor.doctor.machine import device_check, notify_checks
from case_monitor.doctor.prefect_server import EXPECTED, WORK_POOL, prefect_checks
from case_monitor.domain.errors import StoreError
from case_monitor.registry import model_metadata
from case_monitor.settings import Settings
from case_monitor.store.migrate import upgrade
from case_monitor.store.write import save_evaluation
from case_monitor.store.write.outbox import note_failure
from tests.support.commands import Ran, run_cli
from tests.support.factories import an_evaluation, some_evidence
from tests.support.mlflow_registries import MlflowServer
from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
CLASS_NAMES = ("cat", "dog")
METADATA = model_metadata(class_names=CLASS_NAMES, preprocessing={"mean": [0.5], "std": [0.5]})


class Broken(nn.Module):
    """A pickle that was made by code that is no more."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("made by [bold]other[/bold] code")


def healthy(classes: int = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration and a split of four images."""

    def write(*models: str, **fields: Any) -> Path:
        images = np.random.default_rng(0).integers(0, 255, (4, 8, 8), dtype=np.uint8)
        np.savez(tmp_path / "split.npz", images=images, labels=[0, 1, 0, 1], class_names=CLASS_NAMES)
        monitored = {name: {"split": {"kind": "npz", "path": "split.npz"}} for name in models}
        config = tmp_path / "case-monitor.yaml"
        config.write_text(yaml.safe_dump({"models": monitored, "device": "cpu"} | fields))
        return config

    return write


def examined(ran: Ran) -> dict[str, dict[str, str]]:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not strict JSON")

    content = json.loads(ran.out, parse_constant=no_constant)
    assert content["ok"] == (ran.code == 0)
    assert ran.code in {0, 2}
    return {check["name"]: check for check in content["checks"]}


def assert_says(check: Any, status: str, *words: str) -> None:
    values = (
        check if isinstance(check, dict) else {"status": check.outcome, "found": check.found, "remedy": check.remedy}
    )
    assert values["status"] == status, values
    assert bool(values["remedy"]) == (status in {"warning", "failed"}), values
    for word in words:
        assert word in f"{values['found']} | {values['remedy']}", values


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything in one way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"You are not authenticated.")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# One look.


def test_a_look_that_hangs_is_left_after_its_time() -> None:
    started = time.monotonic()
    check = ask("x", lambda: time.sleep(60) or ok("late"), remedy="wait", limit_s=0.2)
    assert time.monotonic() - started < 30
    assert (check.outcome, check.found, check.remedy) == (Outcome.FAILED, "no answer within 0.2 seconds", "wait")


@pytest.mark.parametrize("error", [StoreError("no\n\x1b[31mtables"), ValueError("no tables"), SystemExit("no tables")])
def test_whatever_a_look_raises_is_its_answer(error: BaseException) -> None:
    def look() -> Answer:
        raise error

    check = ask("x", look, remedy="mend it")
    assert (check.outcome, check.remedy) == (Outcome.FAILED, "mend it")
    assert check.found.endswith("tables")
    assert check.found.isprintable()


# The results database.


def results(url: str) -> tuple[Check, Check]:
    reached, tables, *_ = database_checks(url)
    return reached, tables


@pytest.fixture
def guarded_url(postgres_url: str, postgres_admin: Connection) -> Iterator[str]:
    """A PostgreSQL database, and a user who needs his password: the wheel's server trusts all others."""
    postgres_admin.exec_driver_sql("CREATE ROLE doctors_patient LOGIN PASSWORD 'r1ght'")
    url = make_url(postgres_url).set(username="doctors_patient", password="r1ght")
    rules = Path(postgres_admin.exec_driver_sql("SHOW hba_file").scalar_one())
    before = rules.read_text() if rules.exists() else None  # not of a server elsewhere, which is guarded anyway
    if before is not None:
        rule = "{} all doctors_patient {} scram-sha-256\n"
        rules.write_text(rule.format("local", "") + rule.format("host", "all") + before)
        postgres_admin.exec_driver_sql("SELECT pg_reload_conf()")
        wait_until_refused(url.set(password="wr0ng").render_as_string(hide_password=False))
    yield url.render_as_string(hide_password=False)
    if before is not None:
        rules.write_text(before)
        postgres_admin.exec_driver_sql("SELECT pg_reload_conf()")
    postgres_admin.exec_driver_sql("DROP ROLE doctors_patient")


def wait_until_refused(url: str) -> None:
    for _ in range(100):
        engine = create_engine(url)
        try:
            engine.connect().close()
        except OperationalError:
            return
        finally:
            engine.dispose()
        time.sleep(0.05)
    pytest.fail("the server still trusts everybody")


def test_the_password_of_the_database(guarded_url: str) -> None:
    reached, tables = results(guarded_url)
    assert_says(reached, "ok", "answers", "postgresql")
    assert_says(tables, "failed", "no case_monitor tables yet", "case-monitor db upgrade")
    reached, tables = results(guarded_url.replace("r1ght", "wr0ng"))
    assert_says(reached, "failed", "authentication failed", "correct the user and the password")
    assert_says(tables, "skipped")
    assert "wr0ng" not in repr((reached, tables))


def test_the_name_of_the_database(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nosuch").render_as_string(hide_password=False)
    assert_says(results(url)[0], "failed", '"nosuch" does not exist', "create the database")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:s3cret@127.0.0.1:{port}/db", ("refused", "start the server")),
        ("postgresql://me:s3cret@nosuch.invalid/db", ("nosuch.invalid", "correct the host")),
        ("postgres://me:s3cret@127.0.0.1/db", ("cannot be understood", "postgresql+psycopg2://<user>")),
        ("mysql+pymysql://me:s3cret@127.0.0.1/db", ("not supported", "postgresql+psycopg2://<user>")),
        ("sqlite:////etc/passwd/results.db", ("cannot be made", "writable SQLite file")),
    ],
)
def test_the_url_of_the_database(url: str, words: tuple[str, ...]) -> None:
    reached, tables = results(url.format(port=free_port()))
    assert_says(reached, "failed", *words)
    assert_says(tables, "skipped")
    assert "s3cret" not in repr((reached, tables))


def test_evidence_that_waits_for_mlflow(engine: Engine, database_url: str) -> None:
    assert_says(list(database_checks(database_url))[-1], "ok", "no evidence waits for MLflow")
    evaluation = an_evaluation()
    evaluation_id = save_evaluation(engine, evaluation, evidence=some_evidence(evaluation))
    note_failure(engine, evaluation_id, "registry http://tracking: refused")
    said = "the evidence of 1 evaluations waits for MLflow, the oldest since 2026-11-23 02:00 UTC: registry http://tracking"
    assert_says(list(database_checks(database_url))[-1], "warning", said, "watch-registry")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "results.db").write_text("not a database, for sure not one" * 100)
    assert_says(results(f"sqlite:///{tmp_path / 'results.db'}")[0], "failed", "not a database", "writable SQLite file")


def test_a_sqlite_file_is_not_made_by_looking(tmp_path: Path) -> None:
    reached, tables = results(f"sqlite:///{tmp_path / 'new' / 'results.db'}")
    assert_says(reached, "ok", "does not exist yet")
    assert_says(tables, "skipped", "makes it")
    assert list(tmp_path.iterdir()) == []


def test_tables_of_this_an_older_and_a_newer_version(database_url: str) -> None:
    upgrade(database_url, "0003")
    assert_says(results(database_url)[1], "failed", "older schema 0003", "case-monitor db upgrade")
    upgrade(database_url)
    assert_says(results(database_url)[1], "ok", "of this version")
    with create_engine(database_url).begin() as connection:
        connection.execute(text("UPDATE case_monitor_revision SET version_num = 'from-the-future'"))
    assert_says(results(database_url)[1], "failed", "newer than", "install the case-monitor that upgraded")


# Servers.


def test_mlflow_that_is_down_or_refuses_or_is_something_else(write: Callable[..., Path], tmp_path: Path) -> None:
    for status, words in {
        401: ("401", "MLFLOW_TRACKING_USERNAME"),
        403: ("403", "MLFLOW_TRACKING_USERNAME", "--allowed-hosts"),
        404: ("404", "the address of MLflow itself"),
        200: ("MLflow does not answer there", "the address of MLflow itself"),
    }.items():
        with answering(status) as url:
            write(tracking_uri=url)
            checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
        assert_says(checks["MLflow tracking"], "failed", *words)
        assert_says(checks["MLflow registry"], "skipped")
    write(tracking_uri=f"http://me:s3cret@127.0.0.1:{free_port()}")
    started = time.monotonic()
    ran = run_cli("doctor", "--json", cwd=tmp_path)
    assert time.monotonic() - started < 30  # MLflow's client by itself tries for minutes
    assert_says(examined(ran)["MLflow tracking"], "failed", "refused", "start the server")
    assert "s3cret" not in ran.out + ran.err


def test_mlflow_that_answers_and_a_registry_that_does_not(
    write: Callable[..., Path], tmp_path: Path, mlflow_server: MlflowServer, mlflow_globals: None
) -> None:
    client = MlflowClient(mlflow_server.uri, mlflow_server.uri)
    write(tracking_uri=mlflow_server.uri, experiment="new here")
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["MLflow tracking"], "ok", "does not have yet", "'new here'")
    assert_says(checks["MLflow registry"], "ok", mlflow_server.uri)
    client.delete_experiment(client.create_experiment("given up"))
    write(tracking_uri=mlflow_server.uri, registry_uri=f"http://127.0.0.1:{free_port()}", experiment="given up")
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["MLflow tracking"], "failed", "'given up' is deleted", "restore it")
    assert_says(checks["MLflow registry"], "failed", "refused", "registry_uri")


def test_prefect_that_is_down_refuses_or_is_not_wanted() -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        server, pool, deployments = prefect_checks()
    assert_says(server, "failed", "refused", "PREFECT_API_URL")
    assert (pool.outcome, deployments.outcome) == (Outcome.SKIPPED, Outcome.SKIPPED)
    with answering(401) as url, temporary_settings({PREFECT_API_URL: f"{url}/api"}):
        assert_says(next(prefect_checks()), "failed", "401", "PREFECT_API_AUTH_STRING")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert_says(next(prefect_checks()), "ok", "without a server")


def test_prefect_with_and_without_what_runs_deployments(prefect_server: None) -> None:
    server, pool, deployments = prefect_checks()
    assert_says(server, "ok", "answers (Prefect ")
    assert_says(pool, "warning", "no work pool 'case-monitor'", "prefect work-pool create case-monitor")
    assert_says(deployments, "warning", *EXPECTED, "prefect deploy --all")
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
        try:
            assert_says(list(prefect_checks())[1], "warning", "no worker online", "prefect worker start")
            client.send_worker_heartbeat(WORK_POOL, "worker", heartbeat_interval_seconds=30)
            made = [
                client.create_deployment(client.create_flow_from_name(name.partition("/")[0]), name.partition("/")[2])
                for name in EXPECTED
            ]
            _, pool, deployments = prefect_checks()
        finally:
            client.delete_work_pool(WORK_POOL)
        for deployment in made:
            client.delete_deployment(deployment)
    assert_says(pool, "ok", "worker online")
    assert_says(deployments, "ok")


def test_the_deployments_looked_for_are_those_of_the_file() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    flows = {d["name"]: d["entrypoint"].rpartition(":")[2].replace("_", "-") for d in content["deployments"]}
    assert {f"{flow}/{name}" for name, flow in flows.items()} == set(EXPECTED)
    assert {d["work_pool"]["name"] for d in content["deployments"]} == {WORK_POOL}


# This machine.


def test_a_device_that_is_not_there() -> None:
    assert_says(device_check("cuda:99"), "failed", "cuda:99", "device: auto")
    assert_says(device_check("warp"), "failed", "warp")
    assert_says(device_check("cpu"), "ok", "torch")


def test_channels_that_apprise_does_not_know_are_named_without_their_secrets() -> None:
    urls = ("json://me:s3cret@host/t0ken", "jsom://me:s3cret@host/t0ken", "slack://s3cret")
    first, second, third = notify_checks(Settings(notify=tuple(map(SecretStr, urls))))
    assert_says(first, "ok", "json")
    assert_says(second, "failed", "jsom://", "notify")
    assert_says(third, "failed", "slack://")
    assert not any(secret in repr((first, second, third)) for secret in ("s3cret", "t0ken"))


# Models.


def test_a_model_from_registration_to_production(
    write: Callable[..., Path], tmp_path: Path, mlflow_database: str, log_version: Callable[..., int]
) -> None:
    write("patient", tracking_uri=mlflow_database)
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["model patient: versions"], "failed", "no version", "registered_model_name='patient'")
    assert_says(checks["model patient: split"], "ok", "4 images, 2 classes")
    assert_says(checks["model patient: loading"], "skipped", "no version")

    for _ in range(2):
        newest = log_version(mlflow_database, "patient", healthy(), metadata=METADATA)
    ran = run_cli("doctor", "--json", cwd=tmp_path)
    checks = examined(ran)
    assert ran.code == 0
    assert_says(checks["model patient: versions"], "ok", f"version {newest}")
    assert_says(checks["model patient: alias champion"], "warning", f"case-monitor gate patient/{newest}")
    assert_says(checks["model patient: loading"], "ok", f"patient/{newest} loads and takes an image on cpu")

    client = MlflowClient(mlflow_database, mlflow_database)
    client.set_registered_model_alias("patient", "champion", str(newest - 1))
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["model patient: alias champion"], "ok", f"version {newest - 1} holds it")
    assert_says(checks["model patient: loading"], "ok", f"patient/{newest - 1} loads")
    checks = examined(run_cli("doctor", "--json", "--quick", cwd=tmp_path))
    assert_says(checks["model patient: loading"], "skipped", "--quick")


@pytest.mark.parametrize(
    ("name", "model", "metadata", "words"),
    [
        ("broken", Broken(), METADATA, ("does not load", "made by [bold]other[/bold] code", "log the version again")),
        ("bare", healthy(), None, ("logged without it", "configuration")),
        ("three", healthy(3), METADATA, ("the data set has 2", "returns 3 logits")),
        ("colour", nn.Conv2d(3, 2, 3), METADATA, ("does not take an image of (1, 1, 8, 8)",)),
    ],
)
def test_a_model_that_does_not_load_or_fit(
    write: Callable[..., Path],
    tmp_path: Path,
    mlflow_database: str,
    log_version: Callable[..., int],
    name: str,
    model: nn.Module,
    metadata: dict[str, Any] | None,
    words: tuple[str, ...],
) -> None:
    log_version(mlflow_database, name, model, metadata=metadata)
    write(name, tracking_uri=mlflow_database)
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks[f"model {name}: loading"], "failed", *words)
    assert_says(checks[f"model {name}: split"], "ok")
    shown = run_cli("doctor", cwd=tmp_path)
    assert f"failed   model {name}: loading: " in shown.out
    assert words[0] in shown.out
    assert "\n         remedy: " in shown.out


def test_what_is_taken_on_trust_is_a_warning(
    write: Callable[..., Path], tmp_path: Path, mlflow_database: str, log_version: Callable[..., int]
) -> None:
    write("trusted", tracking_uri=mlflow_database)
    log_version(mlflow_database, "trusted", healthy(), metadata=model_metadata(preprocessing={"mean": [0], "std": [1]}))
    ran = run_cli("doctor", "--json", cwd=tmp_path)
    check = examined(ran)["model trusted: loading"]
    assert ran.code == 0
    assert_says(check, "warning", "loads and takes an image", "Nobody has said which class each logit stands for")


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("file:///of/another/machine/model", "No such"),
        ("s3://bucket/model", "No module named"),  # boto3 is none of our dependencies
        ("mlflow-artifacts:/1/model", "mlflow-artifacts"),
    ],
)
def test_files_in_a_store_that_this_machine_does_not_reach(
    write: Callable[..., Path],
    tmp_path: Path,
    mlflow_database: str,
    log_version: Callable[..., int],
    place: str,
    word: str,
) -> None:
    version = log_version(mlflow_database, "elsewhere", healthy(), metadata=METADATA)
    engine = create_engine(mlflow_database)
    with engine.begin() as connection:
        for column in ("source", "storage_location"):
            connection.execute(
                text(f"UPDATE model_versions SET {column} = :place WHERE name = 'elsewhere'"), {"place": place}
            )
    engine.dispose()
    split = {"kind": "mlflow_artifact", "uri": f"models:/elsewhere/{version}", "format": "npz"}
    write(tracking_uri=mlflow_database, models={"elsewhere": {"split": split}})
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["model elsewhere: split"], "failed", "split`, or reach the artifact store")
    check = checks["model elsewhere: loading"]
    assert_says(check, "failed", f"its files cannot be had from here: model elsewhere/{version}: ", word)
    assert check["remedy"].startswith("reach the artifact store from this machine")


def test_a_split_that_cannot_be_read(
    write: Callable[..., Path], tmp_path: Path, mlflow_database: str, log_version: Callable[..., int]
) -> None:
    log_version(mlflow_database, "blind", healthy(), metadata=METADATA)
    write("blind", tracking_uri=mlflow_database)
    (tmp_path / "split.npz").write_text("not an archive")
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["model blind: split"], "failed", "NumPy archive", "models.blind.split")
    assert_says(checks["model blind: loading"], "warning", "no image to show it")
    folder = {"kind": "image_folder", "path": "images"}
    write(tracking_uri=mlflow_database, models={"blind": {"split": folder}})
    (tmp_path / "images" / "cat").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "images" / "cat" / "0.png")
    (tmp_path / "images" / "cat" / "0.png").write_bytes(b"\x89PNG torn")
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["model blind: split"], "failed", "cat/0.png", "cannot be read")


# All together.


def test_every_failure_is_named_although_all_are_there(write: Callable[..., Path], tmp_path: Path) -> None:
    write(
        "[/red]flowers",
        database_url=f"postgresql://me:s3cret@127.0.0.1:{free_port()}/db",
        tracking_uri=f"http://127.0.0.1:{free_port()}",
        device="cuda:99",
        notify=["jsom://me:s3cret@host"],
    )
    (tmp_path / "split.npz").unlink()
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        ran = run_cli("doctor", cwd=tmp_path)
    assert ran.code == 2
    failed = [
        line.removeprefix("failed   ").partition(": ")[0] for line in ran.out.splitlines() if line[:6] == "failed"
    ]
    assert failed == [
        "results database",
        "Prefect server",
        "device",
        "notify.0",
        "MLflow tracking",
        "model [/red]flowers",
    ]
    assert ran.out.count("remedy: ") == 6
    assert "s3cret" not in ran.out + ran.err
    assert ran.out.splitlines()[-1] == "2 ok, 6 failed, 7 skipped"


def test_a_wrong_configuration_hides_neither_prefect_nor_the_device(write: Callable[..., Path], tmp_path: Path) -> None:
    write(databse_url="sqlite:///x.db")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["configuration"], "failed", "databse_url", "no such field")
    assert (checks["Prefect server"]["status"], checks["device"]["status"]) == ("ok", "ok")
    assert checks["MLflow tracking"]["status"] == "skipped"


def test_without_a_configuration_nothing_is_made(tmp_path: Path) -> None:
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["configuration"], "warning", "case-monitor.yaml", "--config")
    assert_says(checks["MLflow tracking"], "failed", "mlflow.db", "tracking_uri")
    assert list(tmp_path.iterdir()) == []


def test_without_an_image_it_is_loaded_all_the_same(
    write: Callable[..., Path], tmp_path: Path, mlflow_database: str, log_version: Callable[..., int]
) -> None:
    log_version(mlflow_database, "unseen", Broken(), metadata=METADATA)
    write("unseen", tracking_uri=mlflow_database)
    (tmp_path / "split.npz").write_text("not an archive")
    checks = examined(run_cli("doctor", "--json", cwd=tmp_path))
    assert_says(checks["model unseen: loading"], "failed", "does not load", "log the version again")
