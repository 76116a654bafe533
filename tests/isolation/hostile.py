"""Models that attack the process that judges them. Each is what its author would register: a module that is pickled."""

import ctypes
import gc
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from case_monitor.isolation.frames import Wire


def wire() -> socket.socket:
    """The connection, found as a model would find it."""
    return next(found for found in gc.get_objects() if isinstance(found, Wire)).socket


def sent(head: object, *, listed: bytes = b"", text: bytes | None = None, length: int | None = None) -> None:
    """A frame, written past the code that should write it."""
    content = json.dumps(head).encode() if text is None else text
    wire().sendall(struct.pack("<I", len(content) if length is None else length) + content + listed)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def error_frame(says: bytes) -> bytes:
    return b'{"is":"error","kind":"model","arrays":[],"says":' + says + b"}"


def listing(*arrays: object, is_: str = "answer") -> dict[str, object]:
    return {"is": is_, "arrays": list(arrays)}


def _in_a_thread(work: Callable[[], object]) -> None:
    threading.Thread(target=work, daemon=True).start()
    time.sleep(30)


def _for_ever(work: Callable[[], object]) -> None:
    while True:
        work()


def _progress(**values: object) -> None:
    sent({"is": "progress", "arrays": [], "done": 0.0, "images": 1, **values})


def _slowly() -> None:
    """A byte now and then: never silent for long."""
    wire().sendall(struct.pack("<I", 1000) + b"{")
    while True:
        time.sleep(0.1)
        wire().sendall(b" ")


def _much_memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 26))


def _deep_folders() -> None:
    for _ in range(1000):
        os.mkdir("d", 0o700)
        os.chdir("d")
    os.mkdir("locked", 0)
    os._exit(0)


def _patching() -> None:
    """Everything of ours in this process is replaced; then it answers as it likes."""
    for name, module in list(sys.modules.items()):
        if name.startswith("case_monitor.") and name != __name__:
            for key, value in list(vars(module).items()):
                if callable(value) and not key.startswith("__"):
                    setattr(module, key, lambda *_, **__: True)
    torch.allclose = lambda *_, **__: True
    sent({"verdict": "pass", "is": "verdict", "arrays": []})


def _connecting() -> None:
    for family, address in ((socket.AF_INET, ("127.0.0.1", 1)), (socket.AF_UNIX, "/tmp/any")):
        try:
            socket.socket(family).connect(address)
        except PermissionError:
            continue
        raise AssertionError(f"a socket of {family}")
    raise ConnectionError("no connection of any kind")


def _starting() -> None:
    for start in (os.fork, lambda: subprocess.run(["true"]), lambda: os.posix_spawn("/bin/true", ["true"], {})):
        try:
            start()
        except PermissionError:
            continue
        raise AssertionError("a process was started")
    raise ChildProcessError("no process of any kind")


def _writing() -> None:
    for place in (
        "/tmp/from a model",
        "/dev/shm/from a model",
        str(Path(sys.path[-1], "x")),
        str(Path.home().parent / "x"),
    ):
        try:
            Path(place).write_text("a model was here")
        except OSError:
            continue
        raise AssertionError(place)
    with open("large", "wb") as file:
        for _ in range(1 << 20):
            file.write(bytes(1 << 20))


def _printing() -> None:
    for _ in range(100):
        os.write(1, b"\x1b[2J\x1b]0;owned\x07 https://me:hunter2@host/ \xff\r" * 2000)
    os.write(2, b"\n" * 200 + b"so \x1b[31mlong")
    os._exit(3)


def canary() -> bytes:
    """What tests plant where no model may look; it stands nowhere in this form."""
    return bytes(reversed(b"edoc a ni dnats ton yam tahw"))


def _places() -> Iterator[Path]:
    yield from (Path(f"/proc/{pid}/{name}") for pid in range(1, os.getpid() + 9) for name in ("environ", "cmdline"))
    yield from (Path(f"/proc/{pid}/mem") for pid in ("self", os.getppid()))
    readable = Path(sys.path[-1])
    for folder in ("/tmp", "/root", "/home", readable.parent, os.environ["TMPDIR"], readable):
        for top, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not _is_everybodys(Path(top, name), readable)]
            yield from (Path(top, name) for name in names if "." in name)


def _is_everybodys(folder: Path, readable: Path) -> bool:
    """Python's own and installed packages, which are gigabytes; and what tools keep in a checkout."""
    installed = folder in map(Path, (sys.prefix, sys.base_prefix)) or (folder / "pyvenv.cfg").exists()
    return installed or (folder.parent == readable and folder.name.startswith("."))


def _holds(place: Path) -> bool:
    try:
        if place.is_symlink() or not (place.is_relative_to("/proc") or place.stat().st_size < 1 << 22):
            return False
        return canary() in place.read_bytes()
    except OSError:
        return False


def _known() -> Iterator[object]:
    yield from (*os.environ.values(), *sys.argv, *sys.orig_argv)
    for found in gc.get_objects():
        if type(found) in {dict, list, tuple, set}:
            yield from tuple(found.values() if type(found) is dict else found)  # it may grow with what is found in it


def _spying() -> None:
    """Says where it found what it should not."""
    word = canary().decode()
    gc.unfreeze()  # what was there before the fork is hidden otherwise
    objects = [str(found) for found in _known() if type(found) in {str, bytes}]
    found = [text[:40] for text in objects if word in text] + [str(p) for p in _places() if _holds(p)]
    found += _descriptors()
    raise LookupError(f"{len(objects) > 1000} found: {found}")


def _descriptors() -> list[str]:
    return [f"descriptor {n}" for n in range(3, 256) if n != wire().fileno() and _is_open(n)]


def _counting() -> None:
    raise LookupError(f"open: {_descriptors()}")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _stopping() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _dying() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _dying_of_a_nameless_signal() -> None:
    os.kill(os.getpid(), 50)


def _crashing() -> None:
    ctypes.string_at(0)


def _exit_in_a_thread() -> None:
    _in_a_thread(lambda: os._exit(0))


def _closing() -> None:
    os.close(wire().fileno())
    time.sleep(30)


def _deaf() -> None:
    """Neither takes anything nor answers."""
    wire().shutdown(socket.SHUT_RD)
    time.sleep(30)


def _ends_at_an_error_of_its_own() -> None:
    class Strange(BaseException):
        def __str__(self) -> str:
            raise Strange

    raise Strange


def _shares_memory() -> None:
    mmap.mmap(-1, 1 << 40)


DEEDS: dict[str, Callable[[], object]] = {
    "sys.exit": lambda: sys.exit(0),
    "os._exit": lambda: os._exit(0),
    "abort": os.abort,
    "kills itself": _dying,
    "nameless signal": _dying_of_a_nameless_signal,
    "stops itself": _stopping,
    "exits in a thread": _exit_in_a_thread,
    "crashes": _crashing,
    "interrupts": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "raises its own": _ends_at_an_error_of_its_own,
    "sleeps": lambda: time.sleep(60),
    "closes the connection": _closing,
    "listens no more": _deaf,
    "wants memory": _much_memory,
    "wants shared memory": _shares_memory,
    "nests folders": _deep_folders,
    "patches": _patching,
    "connects": _connecting,
    "starts processes": _starting,
    "writes": _writing,
    "spies": _spying,
    "counts descriptors": _counting,
    "prints": _printing,
    "progress for ever": lambda: _for_ever(_progress),
    "progress that is none": lambda: _progress(done=float("nan")),
    "progress of too many": lambda: _progress(images=1 << 40),
    "progress with arrays": lambda: sent(
        listing(["a", "uint8", [4]], is_="progress") | {"done": 0.0, "images": 1}, listed=b"1234"
    ),
    "a byte now and then": _slowly,
    "a long head": lambda: sent({}, length=10**9),
    "half a frame": lambda: (sent({}, text=b'{"is"', length=100), os._exit(0)),
    "half an array": lambda: (sent(listing(["logits", "float32", [1, 3]]), listed=b"1234"), os._exit(0)),
    "an array that does not come": lambda: (sent(listing(["logits", "float32", [1, 3]])), time.sleep(60)),
    "no JSON": lambda: sent({}, text=b"\xff\xfe\x00"),
    "deep JSON": lambda: sent({}, text=nested(100_000)),
    "JSON of a list": lambda: sent([1]),
    "huge numbers": lambda: sent({}, text=b'{"arrays":[["logits","float32",[1' + b"0" * 5000 + b"]]]}"),
    "infinite sides": lambda: sent({}, text=b'{"arrays":[["logits","float32",[Infinity,NaN]]]}'),
    "empty, of long sides": lambda: sent(listing(["logits", "float32", [0, *[2**31 - 1] * 5]])),
    "long sides": lambda: sent(listing(["logits", "float32", [2**31 - 1] * 3])),
    "negative sides": lambda: sent(listing(["logits", "float32", [-1, -1]])),
    "a name twice": lambda: sent(listing(["logits", "float32", [0]], ["logits", "float32", [0]])),
    "an array of objects": lambda: sent(listing(["logits", "object", [1]])),
    "too many arrays": lambda: sent(listing(*[[str(i), "uint8", [0]] for i in range(10_000)])),
    "a long error": lambda: sent({}, text=error_frame(json.dumps("\x1b[2J\n\x00x" * 100_000).encode())),
    "a small error": lambda: sent({}, text=error_frame(json.dumps("\x1b[2J\nred\x00 x").encode())),
    "a deep error": lambda: sent({}, text=error_frame(nested(900))),
    "another's error": lambda: sent({}, text=error_frame(b'"model digits/7: everything is wrong with it"')),
    "an error of no kind": lambda: sent({"is": "error", "kind": ["x"], "says": None, "arrays": []}),
    "nothing known": lambda: sent({"is": [], "arrays": []}),
}


class Daemon(nn.Module):
    """Starts a process that leaves everything, and answers its number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if (pid := os.fork()) == 0:
                time.sleep(600)
            os.write(write, str(pid).encode())
            os._exit(0)
        return self.conv(images).mean((2, 3)) * 0 + int(os.read(read, 100))


class Hostile(nn.Module):
    """Does its deed where it is told to: "load" or "forward"."""

    def __init__(self, deed: str, where: str = "forward") -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.deed, self.where = deed, where

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.where == "load":
            DEEDS[self.deed]()

    def forward(self, images: Tensor) -> Tensor:
        if self.where == "forward":
            DEEDS[self.deed]()
        return self.conv(images).mean((2, 3))
