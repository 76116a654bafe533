"""A process that judges: forks itself while a model runs, says what came of it, and waits to be killed."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from case_monitor.isolation.servers import fork_server
from tests.isolation.models import confined, predicted
from tests.isolation.networks import Network


def _judge() -> None:
    with confined(Network().eval()) as model:
        expected = predicted(model)
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            found = predicted(model)
            os.write(write, json.dumps(found.tolist()).encode())
            sys.exit(0)  # what is to be done at an exit is done, and ends no process of the other's
        _, status = os.waitpid(child, 0)
        came = json.loads(os.read(read, 1000))
        same = bool((predicted(model) == expected).all()) and came == expected.tolist()
        server = fork_server()._process
        assert server is not None
        print(json.dumps({"status": status, "same": same, "server": server.pid}), flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    _judge()
