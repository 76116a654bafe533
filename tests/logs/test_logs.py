"""Logs of real failures: no secret in text or JSON, and one object per line that says what it is about."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from prefect.settings import PREFECT_API_URL
from torch import nn
from uvicorn.logging import AccessFormatter

from case_monitor.domain.errors import ConfigError
from case_monitor.logs.configure import are_json, configure_logs, logging_about, show_all_logs
from case_monitor.logs.masking import remember_password
from case_monitor.registry import model_metadata
from tests.support.commands import run_cli
from tests.support.servers import free_port

LOGGER = logging.getLogger("case_monitor.tests")


@pytest.fixture(autouse=True)
def process_wide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what configuring logs does to the process."""
    monkeypatch.setenv("MLFLOW_CONFIGURE_LOGGING", "true")
    factory, loggers = logging.getLogRecordFactory(), [logging.getLogger(), *all_loggers()]
    before = [(logger, list(logger.handlers), logger.propagate, logger.level) for logger in loggers]
    yield
    logging.setLogRecordFactory(factory)
    logging.captureWarnings(False)
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def all_loggers() -> list[logging.Logger]:
    return [logger for logger in logging.Logger.manager.loggerDict.values() if isinstance(logger, logging.Logger)]


@pytest.fixture
def json_logs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], list[dict[str, Any]]]:
    """Logs as JSON; a call gives what was written since."""
    monkeypatch.setenv("CASE_MONITOR_LOG_FORMAT", "json")
    configure_logs()
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.fixture
def dead_server(mlflow_globals: None, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    url = f"http://me:geheim-1@127.0.0.1:{free_port()}"
    remember_password(url)
    return url


def fail_to_connect(url: str) -> None:
    with pytest.raises(MlflowException, match="geheim-1") as caught:  # what MLflow says holds the URL
        MlflowClient(url, url).get_experiment_by_name("x")
    error = caught.value
    LOGGER.error("cannot reach %s with %r: %s", url, "geheim-1", error, exc_info=error, stack_info=True)
    LOGGER.warning("%s", error)
    LOGGER.warning(f"{error}")


def test_a_real_failing_connection_in_text(dead_server: str) -> None:
    configure_logs()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    fail_to_connect(dead_server)
    text = stream.getvalue()
    assert "geheim-1" not in text
    assert "ERROR cannot reach http://me:***@127.0.0.1:" in text
    assert "with '***'" in text
    assert "Traceback (most recent call last)" in text
    assert "MlflowException: API request to http://me:***@127.0.0.1" in text


def test_a_real_failing_connection_in_json(dead_server: str, json_logs: Callable[[], list[dict[str, Any]]]) -> None:
    with logging_about(model="flowers", version=3, evaluation_id=None):
        fail_to_connect(dead_server)
    error, *_ = lines = [line for line in json_logs() if line["logger"] == LOGGER.name]
    assert len(lines) == 3
    assert "geheim-1" not in json.dumps(lines)
    assert error.keys() == {"time", "level", "logger", "message", "model", "version", "exception"}
    assert (error["level"], error["model"], error["version"]) == ("error", "flowers", 3)
    assert error["exception"].startswith("Traceback")
    assert "MlflowException: API request to http://me:***@127.0.0.1" in error["exception"]
    assert error["time"].endswith("+00:00")


def test_hostile_text_stays_one_line(json_logs: Callable[[], list[dict[str, Any]]]) -> None:
    message = 'a\nb\r\u2028"}{\x1b[31m\udce9'
    LOGGER.warning("%s", message)
    [line] = json_logs()
    assert line["message"] == message


def test_what_a_log_is_about_is_added_up_and_ends(json_logs: Callable[[], list[dict[str, Any]]]) -> None:
    with logging_about(model="flowers", flow_run_id="run 1"):
        with logging_about(version=3, evaluation_id=7):
            LOGGER.info("inside")
            with ThreadPoolExecutor(1) as pool:
                pool.submit(copy_context().run, LOGGER.info, "in a task's thread").result()
        LOGGER.info("between")
    LOGGER.info("outside")
    LOGGER.info("of a flow", extra={"flow_run_id": "run 2"})
    whole = {"model": "flowers", "version": 3, "evaluation_id": 7, "flow_run_id": "run 1"}
    fields = [{k: v for k, v in line.items() if k in whole} for line in json_logs()]
    assert fields == [whole, whole, {"model": "flowers", "flow_run_id": "run 1"}, {}, {"flow_run_id": "run 2"}]


def test_configuring_twice_writes_once(json_logs: Callable[[], list[dict[str, Any]]]) -> None:
    configure_logs()
    logging.getLogger("prefect.clients").critical("once")
    logging.getLogger("mlflow").critical("once too")
    assert [line["message"] for line in json_logs()] == ["once", "once too"]


def test_a_wrong_format_of_a_message_hides_nothing_else(json_logs: Callable[[], list[dict[str, Any]]]) -> None:
    LOGGER.warning("%d of them at http://me:geheim-2@host", "many")
    [line] = json_logs()
    assert line["message"] == "%d of them at http://me:***@host ('many',)"


def test_arguments_are_masked_one_by_one() -> None:
    """uvicorn's formatter of accesses takes the five arguments apart."""
    configure_logs()
    arguments = ("1.2.3.4:5", "GET", "/hook?token=geheim-5", "1.1", 200)
    record = logging.getLogger("uvicorn.access").makeRecord(
        "uvicorn.access", logging.INFO, "x.py", 1, '%s - "%s %s HTTP/%s" %d', arguments, None
    )
    assert record.args == ("1.2.3.4:5", "GET", "/hook?token=***", "1.1", 200)
    assert AccessFormatter("%(request_line)s", use_colors=False).format(record) == "GET /hook?token=*** HTTP/1.1"


def test_a_format_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CASE_MONITOR_LOG_FORMAT", "xml")
    with pytest.raises(ConfigError, match="text or json was expected, 'xml' came"):
        configure_logs()
    ran = run_cli("alerts", cwd=tmp_path)
    assert (ran.code, "CASE_MONITOR_LOG_FORMAT" in ran.err, are_json()) == (2, True, False)


def test_an_unexpected_error_with_verbose_shows_its_traceback_and_exits_2(tmp_path: Path) -> None:
    """1 would mean that the version fails."""
    code = (
        "import sys, case_monitor.settings as s\n"
        "def broken(_): raise RuntimeError('postgresql://me:geheim-3@host')\n"
        "s.load_settings = broken\n"
        "sys.argv = ['case-monitor', 'check', 'flowers/1', '--verbose']\n"
        "from case_monitor.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "RuntimeError: postgresql://me:***@host" in done.stderr
    assert "geheim-3" not in done.stderr


def test_a_flow_in_a_process_of_its_own(prefect_server: None, tmp_path: Path) -> None:
    """The flow's task fails and is retried, Prefect, MLflow and the command say so: all of it as JSON."""
    (tmp_path / "case-monitor.yaml").write_text(
        f"tracking_uri: http://me:geheim-4@127.0.0.1:{free_port()}\n"
        "models:\n  flowers:\n    split: {kind: npz, path: x.npz}\n"
    )
    quick = {"CASE_MONITOR_LOG_FORMAT": "json", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "DO_NOT_TRACK": "true"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PREFECT_"))} | quick
    environment["PREFECT_API_URL"] = str(PREFECT_API_URL.value())
    code = (  # Prefect and MLflow set up logs of their own first, as in a worker; and no waiting between retries
        "import sys; sys.argv = ['case-monitor', 'nightly', '-v']\n"
        "from case_monitor.steps import running\n"
        "running.RETRY_DELAYS_S = (0, 0, 0)\n"
        "from case_monitor.steps import nightly\n"
        "from case_monitor.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "geheim-4" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    [failure] = [line for line in lines if line["logger"] == "case_monitor.nightly"]
    assert failure["level"] == "error"
    assert failure["model"] == "flowers"
    assert len(failure["flow_run_id"]) == 36
    assert "RegistryError" in failure["exception"]
    assert {"prefect.flow_runs", "prefect.task_runs", "case_monitor.cli"} <= {line["logger"] for line in lines}


def test_the_logs_of_a_check_name_its_evaluation(
    prefect_server: None, mlflow_database: str, log_version: Callable[..., int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    metadata = model_metadata(class_names=("cat", "dog"), preprocessing={"mean": [0.5], "std": [0.5]})
    version = log_version(mlflow_database, "logged", model, metadata=metadata)
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "split.npz", images=images, labels=np.arange(12) % 2)
    (tmp_path / "case-monitor.yaml").write_text(
        f"tracking_uri: {mlflow_database}\ndevice: cpu\nprotocol: {{methods: [case], sample_size: 12}}\n"
        "models:\n  logged:\n    split: {kind: npz, path: split.npz}\n"
    )
    arguments = ["case-monitor", "check", f"logged/{version}", "--json"]
    code = f"import sys; sys.argv = {arguments}; from case_monitor.cli import main; main()"
    environment = {"CASE_MONITOR_LOG_FORMAT": "json", "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["evaluation_id"] == 1, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    of_evaluation = [line for line in lines if line["logger"] in {"case_monitor.evaluate", "case_monitor.evidence"}]
    assert [line["message"].partition(" ")[0] for line in of_evaluation] == ["stored:", "evidence"]
    for line in of_evaluation:
        assert (line["model"], line["version"], line["evaluation_id"]) == ("logged", version, 1)
        assert len(line["flow_run_id"]) == 36
    assert any("explain and test the sample" in line["message"] for line in lines)  # progress


def test_mlflows_traceback_of_what_it_raises_is_shown_on_request_only() -> None:
    """A disk without room: MLflow raises, which is told in one line, and logs the same in fifty (`tests/faults`)."""
    logger = logging.getLogger("mlflow.store.db.utils")
    configure_logs()
    assert not logger.isEnabledFor(logging.ERROR)
    show_all_logs()
    assert logger.isEnabledFor(logging.ERROR)
