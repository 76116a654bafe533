"""A program that forks a confined process and is killed: whoever reads its output sees when both are gone."""

import json
import os
import signal
import sys
from pathlib import Path

PLAN = json.loads(sys.argv[1])
sys.path.insert(0, PLAN["root"])

from case_monitor.isolation.confine.level import confine
from case_monitor.isolation.confine.limits import Limits

PARENT = os.getpid()
told, tell = os.pipe()
if os.fork() == 0:
    confine([], Path(PLAN["scratch"]), Limits(), keep=(1, tell), parent=PARENT)
    os.write(tell, b"!")
    while True:
        signal.pause()
os.read(told, 1)
os.kill(PARENT, signal.SIGKILL)
