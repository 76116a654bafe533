"""The filter of system calls, run here step by step as the kernel would, for both architectures."""

import errno
import re
import struct
from pathlib import Path

import pytest

from case_monitor.isolation.confine import bpf
from case_monitor.isolation.confine.seccomp import confining_program
from case_monitor.isolation.confine.syscall_numbers import NUMBERS

PID, OTHER = 4321, 1234
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
THIRTY_TWO_BITS = {"x86_64": 0x40000003, "aarch64": 0x40000028}
HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
REFUSED, UNKNOWN = bpf.ERRNO | errno.EPERM, bpf.ERRNO | errno.ENOSYS
CLONE_THREAD, CLONE_VM, SIGCHLD = 0x10000, 0x100, 17


def ran(program: list[bpf.Instruction], number: int, *arguments: int, architecture: int) -> int:
    """The action for a call, by an interpreter of the few instructions that are used."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(*arguments, *[0] * 6)[:6])
    loaded = at = 0
    while True:
        step = program[at]
        at += 1
        if step.code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, step.value)
        elif step.code == 0x54:
            loaded &= step.value
        elif step.code == 0x06:
            return step.value
        else:
            holds = {0x15: loaded == step.value, 0x25: loaded > step.value, 0x45: bool(loaded & step.value)}[step.code]
            at += step.if_true if holds else step.if_false


CALLS = [
    ("socket", (2, 1), REFUSED), ("socketpair", (1, 1), REFUSED), ("execve", (), REFUSED), ("ptrace", (), REFUSED),
    ("process_vm_readv", (PID,), REFUSED), ("io_uring_setup", (), REFUSED), ("setns", (), REFUSED),
    ("pidfd_getfd", (), REFUSED), ("keyctl", (), REFUSED), ("perf_event_open", (), REFUSED),
    ("userfaultfd", (), REFUSED),
    ("kexec_load", (), REFUSED), ("init_module", (), REFUSED), ("fsetxattr", (), REFUSED), ("tkill", (PID,), REFUSED),
    ("clone", (SIGCHLD,), REFUSED), ("clone", (CLONE_VM | SIGCHLD,), REFUSED), ("clone", (CLONE_THREAD,), bpf.ALLOW),
    ("clone3", (), UNKNOWN),
    ("kill", (PID, 9), bpf.ALLOW), ("kill", (OTHER, 0), REFUSED), ("kill", (0, 9), REFUSED),
    ("kill", (-1 % 2**64, 9), REFUSED),
    ("kill", (PID | 1 << 32, 9), bpf.ALLOW), ("kill", (OTHER | 1 << 32, 9), REFUSED),
    ("tgkill", (PID, PID + 1, 6), bpf.ALLOW), ("tgkill", (OTHER, OTHER, 6), REFUSED),
    ("rt_sigqueueinfo", (OTHER,), REFUSED), ("rt_tgsigqueueinfo", (OTHER,), REFUSED),
    ("prlimit64", (0, 7), bpf.ALLOW), ("prlimit64", (PID, 7), bpf.ALLOW), ("prlimit64", (OTHER, 7), REFUSED),
    ("sched_setaffinity", (0,), bpf.ALLOW), ("sched_setaffinity", (OTHER,), REFUSED),
    ("prctl", (1, 0), REFUSED), ("prctl", (15, 0), bpf.ALLOW),
    ("fcntl", (3, 8, OTHER), REFUSED), ("fcntl", (3, 1), bpf.ALLOW),
    ("ioctl", (3, 0x5412), REFUSED), ("ioctl", (3, 0x5401), bpf.ALLOW),
]  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("call", "arguments", "action"), CALLS)
def test_a_call_is_answered(name: str, call: str, arguments: tuple[int, ...], action: int) -> None:
    program = confining_program(name, PID, cuda=False)
    assert ran(program, NUMBERS[name][call], *arguments, architecture=ARCHITECTURES[name]) == action


CALLS_OF_CUDA = [
    ("socket", (1, 5), bpf.ALLOW), ("socket", (1, 5 | 0o2004000), bpf.ALLOW), ("socket", (1, 1), REFUSED),
    ("socket", (1, 2), REFUSED), ("socket", (2, 5), REFUSED), ("socket", (10, 1), REFUSED),
    ("socket", (16, 3), REFUSED), ("socket", (5, 1), REFUSED), ("bind", (3,), bpf.ALLOW), ("listen", (3,), bpf.ALLOW),
    ("connect", (3,), REFUSED),
    ("accept", (3,), REFUSED), ("accept4", (3,), REFUSED), ("socketpair", (1, 5), REFUSED), ("fork", (), REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("call", "arguments", "action"), CALLS_OF_CUDA)
def test_cuda_may_listen_and_no_more(call: str, arguments: tuple[int, ...], action: int) -> None:
    program, architecture = confining_program("x86_64", PID, cuda=True), ARCHITECTURES["x86_64"]
    assert ran(program, NUMBERS["x86_64"][call], *arguments, architecture=architecture) == action


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_numbers_of_another_architecture_kill(name: str) -> None:
    program = confining_program(name, PID, cuda=False)
    assert ran(program, 3, architecture=THIRTY_TWO_BITS[name]) == bpf.KILL_PROCESS


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("number", [452, 470, 0x40000000 | 59, 2**32 - 1])
def test_unknown_numbers_and_x32_are_answered_as_by_a_kernel_without_them(name: str, number: int) -> None:
    assert ran(confining_program(name, PID, cuda=False), number, architecture=ARCHITECTURES[name]) == UNKNOWN


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_calls_that_nobody_thought_of_are_let_through(name: str) -> None:
    """Reading, mapping and waiting among them: no number is refused that has no name here."""
    program, named = confining_program(name, PID, cuda=False), set(NUMBERS[name].values())
    others = set(range(452)) - named
    assert {ran(program, number, architecture=ARCHITECTURES[name]) for number in others} == {bpf.ALLOW}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_numbers_are_the_kernels(name: str) -> None:
    header = Path(HEADERS[name])
    if not header.exists():
        pytest.skip(f"{header}, from linux-libc-dev, is not here")
    said = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(encoding="utf-8")))
    ours = {call: str(number) for call, number in NUMBERS[name].items()}
    assert len(ours) > 100
    assert {call: said[call] for call in ours if call in said} == {c: n for c, n in ours.items() if c in said}
    assert set(ours) - set(said) <= {"name_to_handle_at", "open_by_handle_at"}
