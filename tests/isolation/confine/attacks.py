"""What a hostile model would try, run as a program: a process forks one that tries it all, and tells what came of it.

Its one argument is a plan in JSON; the process that forks plays the one with the secrets.
"""

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLAN = json.loads(sys.argv[1])
sys.path.insert(0, PLAN["root"])

from case_monitor.isolation.confine import landlock, level
from case_monitor.isolation.confine.kernel import system_call
from case_monitor.isolation.confine.level import confine
from case_monitor.isolation.confine.limits import Limits
from case_monitor.isolation.confine.process import renounce_privileges
from case_monitor.isolation.confine.readable import default_readable

SCRATCH, OUTSIDE = Path(PLAN["scratch"]), Path(PLAN["outside"])
SECRET_FILE = OUTSIDE / "results.db"
LEFT_OPEN = os.open(SECRET_FILE, os.O_RDWR)
PARENT = os.getpid()
LIBC = ctypes.CDLL(None, use_errno=True)
LIMITS = Limits(memory_bytes=2**30, cpu_s=100, file_bytes=2**20)


def libc(name: str, *arguments: Any) -> int:
    result: int = getattr(LIBC, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def in_a_process(work: Callable[[], object]) -> None:
    """In a process of its own where one can be had, else here."""
    try:
        pid = os.fork()
    except PermissionError:
        work()
        return
    if pid == 0:
        failed = 1
        try:
            work()
            failed = 0
        finally:
            os._exit(failed)
    if os.waitpid(pid, 0)[1]:
        raise OSError("it failed")


def connect(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.connect(address)


def send(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"a line", address)


def listen() -> None:
    """As CUDA does, which reads no answer and so must be let."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(f"\0case-monitor-{os.getpid()}-own")
        server.listen()


def read_parents_memory() -> None:
    here, there = ctypes.create_string_buffer(8), ctypes.c_void_p(id(PLAN))
    local, remote = ((ctypes.c_void_p * 2)(ctypes.addressof(here), 8), (ctypes.c_void_p * 2)(there.value, 8))
    libc("process_vm_readv", PARENT, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)


def send_a_signal_by_a_file() -> None:
    fcntl.fcntl(os.open(SCRATCH, os.O_RDONLY), fcntl.F_SETOWN, PARENT)


def write(path: Path, size: int = 10) -> None:
    with path.open("wb") as file:
        file.write(bytes(size))


def move_in(path: Path) -> None:
    path.rename(SCRATCH / "stolen")
    (SCRATCH / "stolen").rename(path)


def shut_the_others_out() -> None:
    SECRET_FILE.chmod(SECRET_FILE.stat().st_mode & 0o777)


ATTACKS: dict[str, Callable[[], object]] = {
    "read the results database": lambda: SECRET_FILE.read_bytes(),
    "read it by a descriptor of the parent's": lambda: os.read(LEFT_OPEN, 10),
    "read the parent's environment": lambda: Path(f"/proc/{PARENT}/environ").read_bytes(),
    "read the parent's memory by a file": lambda: os.close(os.open(f"/proc/{PARENT}/mem", os.O_RDONLY)),
    "read the parent's memory by a call": read_parents_memory,
    "read its own environment": lambda: os.environ["CASE_MONITOR_TOKEN"],
    "read the users": lambda: Path("/etc/passwd").read_bytes(),
    "list the processes": lambda: os.listdir("/proc"),
    "list what lies beside the package": lambda: os.listdir(PLAN["root"]),
    "list the root": lambda: os.listdir("/"),
    "write beside its scratch directory": lambda: write(OUTSIDE / "new"),
    "write into a library": lambda: os.close(os.open(json.__file__, os.O_WRONLY)),
    "empty a file": lambda: os.truncate(OUTSIDE / "victim", 0),
    "remove a file": lambda: (OUTSIDE / "victim").unlink(),
    "move a file": lambda: move_in(SECRET_FILE),
    "make a link in its scratch directory": lambda: (SCRATCH / "link").symlink_to(SECRET_FILE),
    "change a file's mode": shut_the_others_out,
    "change a file's times": lambda: os.utime(SECRET_FILE),
    "write more than its limit": lambda: write(SCRATCH / "large", 2**20 + 1),
    "take more memory than its limit": lambda: bytearray(2**30),
    "take memory that no limit counts": lambda: os.close(os.memfd_create("hidden")),
    "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, 2**21)),
    "connect to a port": lambda: connect(socket.AF_INET, ("127.0.0.1", PLAN["port"])),
    "connect to a socket in a folder": lambda: connect(socket.AF_UNIX, str(OUTSIDE / "socket")),
    "connect to a socket without a folder": lambda: connect(socket.AF_UNIX, PLAN["abstract"]),
    "send to a socket in a folder": lambda: send(str(OUTSIDE / "log")),
    "make a pair of sockets": lambda: [end.close() for end in socket.socketpair()],
    "fork": fork,
    "execute a program": lambda: in_a_process(lambda: os.execv("/bin/true", ["true"])),
    "spawn a program": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    "signal its parent": lambda: os.kill(PARENT, signal.SIGUSR1),
    "signal its parent's thread": lambda: libc("tgkill", PARENT, PARENT, signal.SIGUSR1),
    "signal its parent by a descriptor": lambda: signal.pidfd_send_signal(os.pidfd_open(PARENT), signal.SIGUSR1),
    "signal everybody": lambda: os.kill(-1, 0),
    "let a file signal its parent": send_a_signal_by_a_file,
    "trace its parent": lambda: libc("ptrace", 0x4206, PARENT, None, None),
    "limit its parent": lambda: resource.prlimit(PARENT, resource.RLIMIT_CORE, (0, 0)),
    "slow its parent down": lambda: os.setpriority(os.PRIO_PROCESS, PARENT, 1),
    "bind its parent to a core": lambda: os.sched_setaffinity(PARENT, os.sched_getaffinity(0)),
    "outlive its parent": lambda: system_call("prctl", 1, 0, 0, 0, 0),
    "watch a folder": lambda: libc("inotify_add_watch", libc("inotify_init1", 0), str(OUTSIDE).encode(), 0x100),
    "have namespaces of its own": lambda: in_a_process(lambda: libc("unshare", 0x20000)),
}
ALLOWED: dict[str, Callable[[], object]] = {
    "write in its scratch directory": lambda: write(SCRATCH / "small"),
    "make and remove a folder there": lambda: ((SCRATCH / "a" / "b").mkdir(parents=True), (SCRATCH / "a/b").rmdir()),
    "read what it was given": lambda: Path(PLAN["readable"]).read_bytes(),
    "read random bytes": lambda: os.read(os.open("/dev/urandom", os.O_RDONLY), 1),
    "write to nowhere": lambda: write(Path("/dev/null")),
    "import from the standard library": lambda: __import__("wave"),
    "take memory below its limit": lambda: bytearray(2**28),
    "map memory": lambda: mmap.mmap(-1, 2**20).close(),
    "signal itself": lambda: signal.raise_signal(signal.SIGUSR1),
    "signal itself by its number": lambda: os.kill(os.getpid(), signal.SIGUSR1),
}


OF_CUDA: dict[str, Callable[[], object]] = {
    "listen at a name": listen,
    "name a thread": lambda: Path(f"/proc/self/task/{os.getpid()}/comm").write_text("worker"),
}


def tried(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, MemoryError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def prepared(way: str, keep: tuple[int, int]) -> None:
    """As the plan says: shut in, so where there is a GPU, by Landlock alone, or not at all."""
    if way == "beside a GPU":
        level.has_graphics_card = lambda: True
    if way in {"confined", "beside a GPU"}:
        readable = (*default_readable(), Path(PLAN["readable"]))
        confine(readable, SCRATCH, LIMITS, keep=(2, *keep), parent=PARENT)
    elif way == "landlock":
        renounce_privileges()
        landlock.restrict_files(default_readable(), SCRATCH, cuda=False)


def child(way: str, told: int, asked: int) -> None:
    prepared(way, (told, asked))
    os.write(told, b"ready\n")
    os.read(asked, 1)
    results = {name: tried(attempt) for name, attempt in {**ATTACKS, **ALLOWED, **OF_CUDA}.items()}
    os.write(told, json.dumps(results).encode())


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def main() -> None:
    for number in (signal.SIGUSR1, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)
    told, tell = os.pipe()
    asked, ask = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(PLAN["way"], tell, asked)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as answers:
        answers.readline()
        status = status_of(pid) | {"sid": str(os.getsid(pid)), "pid": str(pid)}
        status["oom_score_adj"] = Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
        os.write(ask, b"!")
        results = answers.read()
    sys.stdout.write(json.dumps({"status": status, "results": json.loads(results), "exit": os.waitpid(pid, 0)[1]}))


main()
