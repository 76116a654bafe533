"""A step of the confinement fails, as the plan says, in a fork of this program: prints what came of it.

The kernel's refusals are real ones: a filter that was installed before answers the call.
"""

import errno
import json
import os
import sys
import threading
from pathlib import Path

PLAN = json.loads(sys.argv[1])
sys.path.insert(0, PLAN["root"])

from case_monitor.domain.errors import ConfinementError
from case_monitor.isolation.confine import bpf
from case_monitor.isolation.confine.kernel import machine, number_of
from case_monitor.isolation.confine.level import available, confine
from case_monitor.isolation.confine.limits import Limits
from case_monitor.isolation.confine.process import renounce_privileges
from case_monitor.isolation.confine.seccomp import install, whole_program

SCRATCH = Path(PLAN["scratch"])


def without(call: str) -> None:
    renounce_privileges()
    install(whole_program(machine() or "", bpf.always(number_of(call), bpf.ERRNO | errno.EPERM)))


def confined(fault: str, tell: int) -> str:
    readable, scratch, parent = [Path("/usr/lib")], SCRATCH, os.getppid()
    if fault == "a second thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    elif fault == "a parent that is gone":
        parent = 2**22 + 1
    elif fault == "a file that is not there":
        readable.append(SCRATCH / "missing")
    elif fault == "a scratch directory that is not there":
        scratch = SCRATCH / "missing"
    else:
        without(fault)
    level = available()
    try:
        came = confine(readable, scratch, Limits(), keep=(2, tell), parent=parent)
    except ConfinementError as error:
        return f"{level}: {error}"
    return f"{level}: {came.level} without {came.lacking}"


def forked(fault: str) -> str:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(tell, confined(fault, tell).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answers:
        said = answers.read()
    os.waitpid(pid, 0)
    return said


sys.stdout.write(json.dumps({fault: forked(fault) for fault in PLAN["faults"]}))
