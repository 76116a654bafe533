"""Models that attack: each ends in one line that names it, nothing stays behind, and the next is judged as ever."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from case_monitor.domain.errors import ConfinementError, ModelError
from case_monitor.domain.isolation import Isolation
from case_monitor.isolation import servers, started
from case_monitor.isolation.confine.level import Level
from case_monitor.isolation.servers import ForkServer
from tests.isolation.confine.programs import needs_confinement
from tests.isolation.hostile import DEEDS, Daemon, Hostile, canary
from tests.isolation.models import IMAGE, IMPATIENT, ROOT, confined, is_running, left_behind, predicted
from tests.isolation.networks import Good

NO_ANSWER = "its process answered what is no answer: "
SILENT, TOO_LONG = "said nothing for 1.5 s", "took longer than 4 s altogether"
ENDED = r"its process ended itself with exit code 0"
SAID = {
    "sys.exit": r"ended the program: SystemExit\(0\)",
    "os._exit": ENDED,
    "abort": "was ended by signal SIGABRT",
    "kills itself": "was killed",
    "nameless signal": "was ended by signal 50",
    "stops itself": SILENT,
    "exits in a thread": ENDED,
    "crashes": "was ended by signal SIGSEGV",
    "interrupts": r"ended the program: KeyboardInterrupt\(\)",
    "raises its own": r"ended the program: Strange\(it does not say what\)",
    "sleeps": SILENT,
    "closes the connection": f"{SILENT}|was killed",  # where its end is seen in time it is ended at once
    "listens no more": SILENT,
    "wants memory": "MemoryError",
    "wants shared memory": "Cannot allocate memory",
    "nests folders": ENDED,
    "patches": NO_ANSWER,
    "prints": r"exit code 3; it said last: 'so \[31mlong'$",
    "progress for ever": TOO_LONG,
    "progress that is none": NO_ANSWER + "progress in images",
    "progress of too many": NO_ANSWER + "progress in images",
    "progress with arrays": NO_ANSWER + "progress in images",
    "a byte now and then": SILENT,
    "a long head": NO_ANSWER + "a head of up to 1048576 bytes was expected, 1000000000 came",
    "half a frame": ENDED,
    "half an array": ENDED,
    "an array that does not come": SILENT,
    "no JSON": NO_ANSWER + "a head in JSON",
    "deep JSON": NO_ANSWER + "a head in JSON",
    "JSON of a list": NO_ANSWER + "a head with names",
    "huge numbers": NO_ANSWER + "a head in JSON",
    "infinite sides": NO_ANSWER + "name, kind and shape",
    "empty, of long sides": NO_ANSWER + "arrays of up to",
    "long sides": NO_ANSWER + "arrays of up to",
    "negative sides": NO_ANSWER + "name, kind and shape",
    "a name twice": NO_ANSWER + "arrays of different names",
    "an array of objects": NO_ANSWER + "name, kind and shape",
    "too many arrays": NO_ANSWER + "a list of up to",
    "a long error": NO_ANSWER + "a head of up to",
    "a deep error": NO_ANSWER + "an error in words",
    "another's error": "model digits/1: model digits/7: everything",
    "an error of no kind": NO_ANSWER + "an error in words",
    "nothing known": NO_ANSWER,
    "counts descriptors": r"LookupError: open: \[\]$",
    "a small error": r"model digits/1: \[2J red x$",
}
SAID_CONFINED = {
    "connects": "ConnectionError: no connection of any kind",
    "starts processes": "ChildProcessError: no process of any kind",
    "writes": "File too large",
    "spies": r"LookupError: True found: \[\]$",
}
IN_LOADING = ("sys.exit", "os._exit", "sleeps", "patches", "progress for ever", "nests folders", "a deep error")
OUTLIVES_NOBODY = ("os._exit", "sleeps", "prints", "nameless signal", "counts descriptors")


def limits_of(said: str) -> Isolation:
    """Short only where time is what ends it: on a busy machine a process that does something else needs longer, too."""
    return IMPATIENT if SILENT in said or TOO_LONG in said else replace(IMPATIENT, silence_s=60, total_s=120)


def error_of(model: nn.Module, isolation: Isolation = IMPATIENT) -> str:
    """What becomes of it; nothing else does."""
    with confined(model, isolation) as process, pytest.raises(ModelError) as caught:
        predicted(process, 3)
    text = str(caught.value)
    assert text.startswith("model digits/1")
    assert text.isprintable()
    assert len(text) < 600
    return text


@pytest.fixture(scope="module", autouse=True)
def server_there() -> None:
    """It opens its descriptors once."""
    with confined(Good()) as model:
        predicted(model)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = left_behind()
    yield
    deadline = time.monotonic() + 30
    while (stayed := left_behind() - before) and time.monotonic() < deadline:
        time.sleep(0.05)  # a thread may still read what was printed
    assert not stayed


def test_every_deed_is_tried() -> None:
    assert SAID.keys() | SAID_CONFINED.keys() == DEEDS.keys()


@pytest.mark.parametrize("deed", SAID)
def test_it_is_refused_in_one_line(deed: str) -> None:
    says(SAID[deed], error_of(Hostile(deed), limits_of(SAID[deed])))


@pytest.mark.parametrize("deed", IN_LOADING)
def test_it_is_refused_in_one_line_when_it_is_loaded(deed: str) -> None:
    says(SAID[deed], error_of(Hostile(deed, "load"), limits_of(SAID[deed])))


@needs_confinement
@pytest.mark.parametrize("deed", [name for name in SAID_CONFINED if name != "spies"])
def test_a_confined_one_cannot(deed: str) -> None:
    says(SAID_CONFINED[deed], error_of(Hostile(deed), limits_of(SAID_CONFINED[deed])))


def says(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text


def test_the_next_is_judged_as_ever() -> None:
    for deed in ("os._exit", "nests folders", "patches"):
        error_of(Hostile(deed))
        with confined(Good()) as model:
            assert predicted(model).tolist() == [[-0.5, 0.5]]  # the logit 1, of two classes


@pytest.fixture(scope="class")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A fork server of a process with secrets everywhere."""
    word = canary().decode()
    folder = tmp_path_factory.mktemp("judging")
    for name in ("case-monitor.yaml", "case-monitor.db", "cat.npz"):
        (folder / name).write_text(word)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "NVIDIA_API_KEY", "PYTHONPATH"):
            patch.setenv(name, f"{word}{os.pathsep}{os.environ.get(name, '')}")
        server = ForkServer()
        patch.setattr(started, "fork_server", lambda: server)
        yield server
        server.close()


class TestSecrets:
    @needs_confinement
    def test_a_spy_sees_none(self, planted: ForkServer) -> None:
        says(SAID_CONFINED["spies"], error_of(Hostile("spies"), Isolation(readable=(ROOT,))))

    def test_neither_the_fork_server_nor_a_model_holds_one(self, planted: ForkServer) -> None:
        assert planted._process is not None
        with confined(Good()) as model:
            predicted(model)
            server = planted._process.pid
            children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
            assert children
            for pid in (str(server), *children):
                assert not any(canary() in piece for piece in memory(pid)), pid
        assert canary() in os.environb[b"AWS_SECRET_ACCESS_KEY"]


def memory(pid: str) -> Iterator[bytes]:
    """All that a process could write down."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as content:
        for line in maps:
            place, rights, *_ = line.split()
            start, stop = (int(number, 16) for number in place.split("-"))
            if rights.startswith("rw") and "[v" not in line and stop - start < 1 << 28:
                content.seek(start)
                yield content.read(stop - start)


@pytest.fixture(scope="class")
def unconfined() -> Iterator[None]:
    lacking = "import case_monitor.isolation.confine.level as level; level.lacking = lambda: 'nothing here'; "
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "_BEGIN", servers._BEGIN.replace("from case_monitor", lacking + "from case_monitor"))
        server = ForkServer()
        patch.setattr(started, "fork_server", lambda: server)
        yield
        server.close()


@pytest.mark.usefixtures("unconfined")
class TestWithoutConfinement:
    """On a machine that has neither Landlock nor seccomp, as the fork server is made to believe."""

    def test_it_is_said(self) -> None:
        with confined(Good()) as model:
            assert model.load() is Level.PROCESS
            assert model.survey(IMAGE, "conv").isolation == "process"

    def test_it_can_be_refused(self) -> None:
        with confined(Good(), Isolation(required=True)) as model, pytest.raises(ConfinementError, match="nothing here"):
            model.load()

    @pytest.mark.parametrize("deed", OUTLIVES_NOBODY)
    def test_what_holds_without(self, deed: str) -> None:
        says(SAID[deed], error_of(Hostile(deed), limits_of(SAID[deed])))

    def test_processes_that_it_starts_end_with_it(self) -> None:
        with confined(Daemon()) as model:
            pid = int(2 * predicted(model)[0, 1].item())
            assert is_running(pid)
        assert not is_running(pid)
