"""Which system calls a process that runs a model may still make."""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from case_monitor.isolation.confine import bpf
from case_monitor.isolation.confine.kernel import machine, system_call
from case_monitor.isolation.confine.syscall_numbers import NEWEST_KNOWN, NUMBERS

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_FILTER, _ALL_THREADS = 1, 1
_CLONE_THREAD = 0x10000
_REFUSE, _UNKNOWN = bpf.ERRNO | errno.EPERM, bpf.ERRNO | errno.ENOSYS

# Torch needs none of these; CUDA could not do without `_OF_CUDA`. Landlock guards neither the mode, owner, times and
# attributes of a file, nor the watching of files, nor truncation before Linux 6.2.
_REFUSED = """
socket socketpair connect bind listen accept accept4
fork vfork execve execveat
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_open pidfd_getfd pidfd_send_signal
tkill setpriority ioprio_set migrate_pages
io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd
unshare setns mount umount2 pivot_root chroot move_mount fsopen fsconfig fsmount fspick open_tree mount_setattr
add_key request_key keyctl
shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify memfd_create memfd_secret
chmod fchmod fchmodat chown lchown fchown fchownat utime utimes futimesat utimensat truncate
setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
name_to_handle_at open_by_handle_at inotify_init inotify_init1 inotify_add_watch fanotify_init fanotify_mark
kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct quotactl quotactl_fd syslog
settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname iopl ioperm modify_ldt vhangup
"""
# CUDA starts no device unless it may listen at a name, by which a process could offer another one its memory.
_OF_CUDA = ("socket", "bind", "listen")
_UNIX, _SEQPACKET, _KINDS = 1, 5, 0xF  # what it listens with; it cannot send anything before somebody is connected
# Their first argument is a process, and 0 is the caller (for kill, it is a group). abort() and pthread_kill use tgkill.
_SIGNALS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
_ON_A_PROCESS = (
    "prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "move_pages"
)  # fmt: skip
_SET_DEATH_SIGNAL = (1,)
_SEND_SIGNALS_BY_A_FILE = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_OF_TERMINALS_AND_OWNERS = (0x5412, 0x541C, 0x8901, 0x8902)  # TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP


def confining_program(name: str, pid: int, *, cuda: bool) -> list[bpf.Instruction]:
    """What a confined process may call.

    Args:
        name: the architecture, a key of `NUMBERS`.
        pid: of the process, the only one that it may send a signal to.
        cuda: let it start CUDA.
    """
    numbers = NUMBERS[name]
    refused = [call for call in _REFUSED.split() if call in numbers and not (cuda and call in _OF_CUDA)]
    rules = [rule for call in refused for rule in bpf.always(numbers[call], _REFUSE)]
    if cuda:
        rules += bpf.unless_both(numbers["socket"], _UNIX, _SEQPACKET, _KINDS, _REFUSE)
    for call in _SIGNALS:
        rules += bpf.unless_equal(numbers[call], 0, [pid], _REFUSE)
    for call in _ON_A_PROCESS:
        rules += bpf.unless_equal(numbers[call], 0, [0, pid], _REFUSE)
    rules += bpf.unless_bits(numbers["clone"], 0, _CLONE_THREAD, _REFUSE)
    rules += bpf.always(numbers["clone3"], _UNKNOWN)  # its flags lie in memory; the C library then uses clone
    rules += bpf.where_equal(numbers["prctl"], 0, _SET_DEATH_SIGNAL, _REFUSE)
    rules += bpf.where_equal(numbers["fcntl"], 1, _SEND_SIGNALS_BY_A_FILE, _REFUSE)
    rules += bpf.where_equal(numbers["ioctl"], 1, _OF_TERMINALS_AND_OWNERS, _REFUSE)
    return whole_program(name, rules)


def whole_program(name: str, rules: Iterable[bpf.Instruction]) -> list[bpf.Instruction]:
    """The rules behind the checks that they rely on: this architecture's numbers, and none that is newer than they are.

    The second also keeps out x32, whose numbers have bit 30 set.
    """
    checks = bpf.only_architecture(_ARCHITECTURES[name]) + bpf.beyond(NEWEST_KNOWN, _UNKNOWN)
    return [*checks, *rules, bpf.answer(bpf.ALLOW)]


def install(program: Iterable[bpf.Instruction]) -> None:
    """Put all threads of this process under a program, for good. It must have renounced new privileges before.

    Raises:
        OSError: the kernel refused.
    """
    steps = [step.packed() for step in program]
    code = ctypes.create_string_buffer(b"".join(steps))
    described = struct.pack("@HP", len(steps), ctypes.addressof(code))
    unsynchronised = system_call("seccomp", _SET_FILTER, _ALL_THREADS, described)
    if unsynchronised:
        raise OSError(errno.ESRCH, f"seccomp: thread {unsynchronised} could not be put under the filter")


def restrict_calls(*, cuda: bool) -> None:
    """Refuse this process, for good, all that a model has no use for.

    Args:
        cuda: let it start CUDA.

    Raises:
        OSError: the kernel refused.
    """
    install(confining_program(machine() or "", os.getpid(), cuda=cuda))


def lacking() -> str | None:
    """Why this kernel cannot filter system calls; None where it can."""
    try:
        system_call("seccomp", _SET_FILTER, _ALL_THREADS, 0)
    except OSError as error:
        # It looked for the program, which is not there: so it knows the call and the flag.
        return None if error.errno == errno.EFAULT else f"no seccomp filter ({error.strerror})"
    return "no seccomp filter"
