"""A confined process can do none of what a hostile model would, all of which an ordinary process can."""

import ast
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from case_monitor.isolation.confine import landlock
from tests.isolation.confine.programs import HERE, needs_confinement, run_program

pytestmark = needs_confinement


def _names(table: str) -> list[str]:
    """The keys of a table in the program, which is not imported: it runs when it is."""
    for node in ast.parse((HERE / "attacks.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table:
            assert isinstance(node.value, ast.Dict)
            return [ast.literal_eval(key) for key in node.value.keys if key]
    raise AssertionError(table)


ATTACKS, ALLOWED, OF_CUDA = _names("ATTACKS"), _names("ALLOWED"), _names("OF_CUDA")
HOLD_WITHOUT_CONFINEMENT = {"trace its parent", "read the parent's memory by a call",
                            "read the parent's memory by a file", "have namespaces of its own"}  # fmt: skip
"""On many machines these are refused to all but root."""
BY_LANDLOCK = {"read the results database": 1, "read the users": 1, "read the parent's environment": 1, "fork": 0,
               "list the processes": 1, "write beside its scratch directory": 1, "execute a program": 1,
               "remove a file": 1, "move a file": 1, "make a link in its scratch directory": 1, "empty a file": 3,
               "connect to a port": 4, "connect to a socket without a folder": 6, "signal its parent": 6}  # fmt: skip
"""From which version of its interface; a fork is none of Landlock's business."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    outside = tmp_path_factory.mktemp("outside")
    given = tmp_path_factory.mktemp("given") / "model"
    given.write_bytes(b"weights")
    abstract = f"\0case-monitor-{os.getpid()}"
    with ExitStack() as stack:
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        for address in (str(outside / "socket"), abstract):
            server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            server.bind(address)
            server.listen()
        stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(outside / "log"))
        yield {"outside": str(outside), "readable": str(given), "port": port, "abstract": abstract}


def _tried(plan: dict[str, Any], way: str, scratch: Path) -> Any:
    for name in ("results.db", "victim"):
        (Path(plan["outside"]) / name).write_bytes(b"labels and tokens")
    environment = {"CASE_MONITOR_TOKEN": "tiger", "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}
    return run_program("attacks.py", {**plan, "way": way, "scratch": str(scratch)}, environment)


@pytest.fixture(scope="module")
def confined(plan: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _tried(plan, "confined", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def beside_a_gpu(plan: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _tried(plan, "beside a GPU", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def by_landlock(plan: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _tried(plan, "landlock", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def free(plan: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _tried(plan, "free", tmp_path_factory.mktemp("scratch"))


def _refused(came: str) -> bool:
    return bool(re.match(r"PermissionError|MemoryError|KeyError|ValueError|OSError: \[Errno (9|27)\]", came))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_confined_process_cannot(attack: str, confined: Any) -> None:
    came = confined["results"][attack]
    assert _refused(came), came


@pytest.mark.parametrize("attack", ATTACKS)
def test_nor_can_it_where_it_may_start_cuda(attack: str, beside_a_gpu: Any) -> None:
    came = beside_a_gpu["results"][attack]
    assert _refused(came), came


@pytest.mark.parametrize("action", OF_CUDA)
def test_what_cuda_needs_is_allowed_where_it_may_start(
    action: str, confined: Any, beside_a_gpu: Any, free: Any
) -> None:
    assert _refused(confined["results"][action])
    assert free["results"][action] == "done"
    assert beside_a_gpu["results"][action] == "done"


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_ordinary_process_can(attack: str, free: Any) -> None:
    came = free["results"][attack]
    if attack in HOLD_WITHOUT_CONFINEMENT and came != "done":
        pytest.skip(f"refused by this machine anyway: {came}")
    assert came == "done"


@pytest.mark.parametrize("action", ALLOWED)
def test_a_confined_process_can(action: str, confined: Any) -> None:
    assert confined["results"][action] == "done"


@pytest.mark.parametrize("attack", [attack for attack, version in BY_LANDLOCK.items() if version])
def test_landlock_holds_without_seccomp(attack: str, by_landlock: Any) -> None:
    if landlock.abi() < BY_LANDLOCK[attack]:
        pytest.skip(f"this kernel's Landlock has version {landlock.abi()}, {BY_LANDLOCK[attack]} is needed")
    assert re.match("PermissionError|OSError", by_landlock["results"][attack])


def test_landlock_alone_is_not_seccomp(by_landlock: Any) -> None:
    assert by_landlock["results"]["fork"] == "done"


def test_the_kernel_says_the_same(confined: Any) -> None:
    status = confined["status"]
    assert {name: status[name] for name in ("NoNewPrivs", "Seccomp", "oom_score_adj")} == {
        "NoNewPrivs": "1", "Seccomp": "2", "oom_score_adj": "1000"
    }  # fmt: skip
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert os.geteuid() != 0 or int(status["CapBnd"], 16) == 0
    assert status["sid"] == status["pid"]
    assert confined["exit"] == 0
