"""The privileges of root, given up."""

import errno
import struct

from case_monitor.isolation.confine.kernel import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    machine,
    prctl,
    system_call,
)

_HEADER = struct.pack("=Ii", 0x20080522, 0)
_NONE = bytes(24)
_MOST = 64


def drop_capabilities() -> None:
    """Give up every privilege of this thread, and every way to get one back, where this kernel is known here.

    Raises:
        OSError: the kernel refused.
    """
    if machine() is None:
        return
    for capability in range(_MOST):
        if not _drop_from_bounding_set(capability):
            break
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    system_call("capset", _HEADER, _NONE)


def _drop_from_bounding_set(capability: int) -> bool:
    """Whether the kernel knows it. Without privileges none can be dropped; none can be gained either."""
    try:
        if prctl(PR_CAPBSET_READ, capability):
            prctl(PR_CAPBSET_DROP, capability)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        if error.errno != errno.EPERM:
            raise
    return True
