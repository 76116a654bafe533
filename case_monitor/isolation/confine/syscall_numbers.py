"""The kernel's numbers of the system calls that are named here: they never change, and differ by architecture."""

_X86_64 = """
landlock_create_ruleset 444, landlock_add_rule 445, landlock_restrict_self 446, seccomp 317, capget 125, capset 126,
prctl 157, socket 41, socketpair 53, connect 42, bind 49, listen 50, accept 43, accept4 288, fork 57, vfork 58,
clone 56, clone3 435, execve 59, execveat 322, ptrace 101, process_vm_readv 310, process_vm_writev 311,
process_madvise 440, process_mrelease 448, kcmp 312, pidfd_open 434, pidfd_getfd 438, pidfd_send_signal 424, kill 62,
tkill 200, tgkill 234, rt_sigqueueinfo 129, rt_tgsigqueueinfo 297, prlimit64 302, setpriority 141, ioprio_set 251,
sched_setaffinity 203, sched_setattr 314, sched_setparam 142, sched_setscheduler 144, move_pages 279,
migrate_pages 256, io_uring_setup 425, io_uring_enter 426, io_uring_register 427, bpf 321, perf_event_open 298,
userfaultfd 323, unshare 272, setns 308, mount 165, umount2 166, pivot_root 155, chroot 161, move_mount 429,
fsopen 430, fsconfig 431, fsmount 432, fspick 433, open_tree 428, mount_setattr 442, add_key 248, request_key 249,
keyctl 250, shmget 29, shmat 30, shmctl 31, semget 64, semop 65, semctl 66, semtimedop 220, msgget 68, msgsnd 69,
msgrcv 70, msgctl 71, mq_open 240, mq_unlink 241, mq_timedsend 242, mq_timedreceive 243, mq_notify 244,
memfd_create 319, memfd_secret 447, chmod 90, fchmod 91, fchmodat 268, chown 92, lchown 94, fchown 93, fchownat 260,
utime 132, utimes 235, futimesat 261, utimensat 280, truncate 76, setxattr 188, lsetxattr 189, fsetxattr 190,
removexattr 197, lremovexattr 198, fremovexattr 199, name_to_handle_at 303, open_by_handle_at 304, inotify_init 253,
inotify_init1 294, inotify_add_watch 254, fanotify_init 300, fanotify_mark 301, kexec_load 246, kexec_file_load 320,
init_module 175, finit_module 313, delete_module 176, reboot 169, swapon 167, swapoff 168, acct 163, quotactl 179,
quotactl_fd 443, syslog 103, settimeofday 164, clock_settime 227, adjtimex 159, clock_adjtime 305, sethostname 170,
setdomainname 171, iopl 172, ioperm 173, modify_ldt 154, vhangup 153, fcntl 72, ioctl 16
"""
_AARCH64 = """
landlock_create_ruleset 444, landlock_add_rule 445, landlock_restrict_self 446, seccomp 277, capget 90, capset 91,
prctl 167, socket 198, socketpair 199, connect 203, bind 200, listen 201, accept 202, accept4 242, clone 220,
clone3 435, execve 221, execveat 281, ptrace 117, process_vm_readv 270, process_vm_writev 271, process_madvise 440,
process_mrelease 448, kcmp 272, pidfd_open 434, pidfd_getfd 438, pidfd_send_signal 424, kill 129, tkill 130,
tgkill 131, rt_sigqueueinfo 138, rt_tgsigqueueinfo 240, prlimit64 261, setpriority 140, ioprio_set 30,
sched_setaffinity 122, sched_setattr 274, sched_setparam 118, sched_setscheduler 119, move_pages 239,
migrate_pages 238, io_uring_setup 425, io_uring_enter 426, io_uring_register 427, bpf 280, perf_event_open 241,
userfaultfd 282, unshare 97, setns 268, mount 40, umount2 39, pivot_root 41, chroot 51, move_mount 429, fsopen 430,
fsconfig 431, fsmount 432, fspick 433, open_tree 428, mount_setattr 442, add_key 217, request_key 218, keyctl 219,
shmget 194, shmat 196, shmctl 195, semget 190, semop 193, semctl 191, semtimedop 192, msgget 186, msgsnd 189,
msgrcv 188, msgctl 187, mq_open 180, mq_unlink 181, mq_timedsend 182, mq_timedreceive 183, mq_notify 184,
memfd_create 279, memfd_secret 447, fchmod 52, fchmodat 53, fchown 55, fchownat 54, utimensat 88, truncate 45,
setxattr 5, lsetxattr 6, fsetxattr 7, removexattr 14, lremovexattr 15, fremovexattr 16, name_to_handle_at 264,
open_by_handle_at 265, inotify_init1 26, inotify_add_watch 27, fanotify_init 262, fanotify_mark 263, kexec_load 104,
kexec_file_load 294, init_module 105, finit_module 273, delete_module 106, reboot 142, swapon 224, swapoff 225,
acct 89, quotactl 60, quotactl_fd 443, syslog 116, settimeofday 170, clock_settime 112, adjtimex 171,
clock_adjtime 266, sethostname 161, setdomainname 162, vhangup 58, fcntl 25, ioctl 29
"""


def _table(text: str) -> dict[str, int]:
    pairs = (entry.split() for entry in text.replace("\n", " ").split(","))
    return {name: int(number) for name, number in pairs}


NUMBERS = {"x86_64": _table(_X86_64), "aarch64": _table(_AARCH64)}
NEWEST_KNOWN = 451
"""From 424 on both architectures count alike. Whatever came after this one has not been thought about here."""
