"""Commands that only look at what is stored, or ask others to work, load nothing that models need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "torchvision", "evidently", "matplotlib", "pandas", "case_monitor.measuring", "case_monitor.saliency"}
SERVERS = {"mlflow", "prefect"}
CONFIG = """
database_url: sqlite:///results.db
tracking_uri: {tracking_uri}
webhook_secret: sixteen letters or more
models:
  digits:
    split: {{kind: npz, path: digits.npz}}
"""
COMMANDS = """
import json, sys
from pathlib import Path
from case_monitor.cli.app import run_command
came = []
for words in {commands}:
    sys.argv = ["case-monitor", *words]
    came.append([run_command(), sorted(sys.modules)])
Path("loaded.json").write_text(json.dumps(came))
"""
SERVICE = """
import json, sys
from pathlib import Path
from case_monitor.cli.serve import create_app
from case_monitor.settings import load_settings
from case_monitor.store.open import open_store
settings = load_settings(Path("case-monitor.yaml"))
create_app(settings, open_store(settings.database_url.get_secret_value()))
Path("loaded.json").write_text(json.dumps([[0, sorted(sys.modules)]]))
"""
SWEEP = """
import json, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from case_monitor.steps import running
running.RETRY_DELAYS_S = ()
from flows.watch_registry import watch_registry
from case_monitor.steps.requests import WatchRequest
code = 0
try:
    running.run_flow(watch_registry, WatchRequest(config="case-monitor.yaml"))
except Exception as error:
    code = 2
Path("loaded.json").write_text(json.dumps([[code, sorted(sys.modules)]]))
"""


def run(code: str, directory: Path) -> list[tuple[int, set[str]]]:
    """The exit codes of a fresh process's commands, and the modules that were loaded after each."""
    uri = f"http://127.0.0.1:{free_port()}"  # where nobody answers
    (directory / "case-monitor.yaml").write_text(CONFIG.format(tracking_uri=uri))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PREFECT_", "CASE_MONITOR_"))}
    environment |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "DO_NOT_TRACK": "true", "PREFECT_API_URL": f"{uri}/api"}
    environment["PREFECT_CLIENT_MAX_RETRIES"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=directory, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return [(came, set(modules)) for came, modules in json.loads((directory / "loaded.json").read_text())]


LIGHT = (
    (["alerts"], 0),
    (["alerts", "ack", "99"], 2),
    (["claims"], 0),
    (["policy", "show"], 0),
    (["policy", "try"], 0),
    (["db", "upgrade"], 0),
    (["db", "prune", "--keep-scores", "90d"], 0),
)


def test_commands_of_what_is_stored_load_nothing_heavy(tmp_path: Path) -> None:
    """One after the other in one process: what any of them loads is seen."""
    ran = run(COMMANDS.format(commands=[words for words, _ in LIGHT]), tmp_path)
    for (words, code), (came, modules) in zip(LIGHT, ran, strict=True):
        assert (words, came) == (words, code)
        assert not modules & (HEAVY | SERVERS), words


@pytest.mark.parametrize(
    ("words", "code", "may_load"),
    [
        (["gate", "digits/2", "--wait"], 2, {"prefect"}),
        # MLflow's client brings pandas with it.
        (["webhook", "register"], 2, {"mlflow", "pandas"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_loads_only_what_it_needs(tmp_path: Path, words: list[str], code: int, may_load: set[str]) -> None:
    [(came, modules)] = run(COMMANDS.format(commands=[words]), tmp_path)
    assert came == code
    assert not modules & ((HEAVY | SERVERS) - may_load)
    assert may_load <= modules, "the list is longer than it need be"
    assert "webhook" in words or "scipy" not in modules  # MLflow's client brings it, too


def test_the_service_loads_no_model_and_no_registry(tmp_path: Path) -> None:
    [(_, modules)] = run(SERVICE, tmp_path)
    assert not modules & (HEAVY | {"mlflow"})


def test_the_sweep_loads_no_model(tmp_path: Path) -> None:
    [(came, modules)] = run(SWEEP.format(root=str(ROOT)), tmp_path)
    assert came == 2, "no registry answers here"
    assert not modules & (HEAVY - {"pandas"})
    assert modules >= SERVERS


def test_the_lists_would_tell(tmp_path: Path) -> None:
    [(_, modules)] = run(COMMANDS.format(commands=[["explain", "digits/2", "nothing.png"]]), tmp_path)
    assert {"mlflow", "PIL"} <= modules  # torch is loaded by other processes
