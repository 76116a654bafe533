"""Commands in a fresh process that has imported nothing, and what it has imported after each."""

import json
import os
import subprocess
import sys
from pathlib import Path

FORBIDDEN = {
    *("torch", "torchvision", "case_monitor.measuring.local", "case_monitor.saliency", "case_monitor.dataset"),
    "case_monitor.isolation.confined_model",
}
"""What only the measuring process has."""
_COMMANDS = """
import json, sys
from pathlib import Path
from case_monitor.cli.app import run_command
came = []
for words in {commands}:
    sys.argv = ["case-monitor", *words]
    came.append([run_command(), sorted(sys.modules)])
Path("loaded.json").write_text(json.dumps(came))
"""


def fresh(commands: list[list[str]], directory: Path) -> list[tuple[int, set[str]]]:
    """Exit codes, and the modules that were loaded after each; without the environment's servers."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    ran = subprocess.run(
        [sys.executable, "-c", _COMMANDS.format(commands=commands)],
        cwd=directory,
        env=ours | {"DO_NOT_TRACK": "true"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]
    return [(came, set(modules)) for came, modules in json.loads((directory / "loaded.json").read_text())]
