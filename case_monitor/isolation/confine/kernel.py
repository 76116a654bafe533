"""System calls that Python's standard library has no name for."""

import ctypes
import os
import platform
import sys
from functools import cache

from case_monitor.isolation.confine.syscall_numbers import NUMBERS


def machine() -> str | None:
    """The architecture, where it is one whose system calls are known here; else None."""
    known = sys.platform == "linux" and sys.byteorder == "little" and sys.maxsize > 2**32
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return name if known and name in NUMBERS else None


def number_of(name: str) -> int:
    """The number of a system call on this machine."""
    return NUMBERS[machine() or ""][name]


def system_call(name: str, *arguments: int | bytes) -> int:
    """What the kernel answered; bytes are passed by their address.

    Raises:
        OSError: it refused, or does not know the call.
    """
    buffers = [ctypes.create_string_buffer(a, len(a)) if isinstance(a, bytes) else None for a in arguments]
    words = [_word(a if b is None else ctypes.addressof(b)) for a, b in zip(arguments, buffers, strict=True)]
    result: int = _libc().syscall(_word(number_of(name)), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _word(value: int | bytes) -> ctypes.c_ulong:
    return ctypes.c_ulong(int(value) & (2**64 - 1))


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def prctl(option: int, argument: int = 0, second: int = 0) -> int:
    """Ask for something about this process.

    Raises:
        OSError: the kernel refused.
    """
    return system_call("prctl", option, argument, second, 0, 0)
