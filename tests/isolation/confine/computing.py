"""The same small network in two forks of this program, one of them confined: prints what each of them computed."""

import hashlib
import json
import os
import pickle
import sys
import traceback
from pathlib import Path

PLAN = json.loads(sys.argv[1])
sys.path.insert(0, PLAN["root"])

import torch
from torch import Tensor, nn

from case_monitor.isolation.confine.level import confine
from case_monitor.isolation.confine.limits import Limits
from case_monitor.isolation.confine.readable import default_readable

MODEL = Path(PLAN["model"])
PARENT = os.getpid()


def make() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 32, 3, padding=1)
    net = nn.Sequential(
        convolution, nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 7)
    )
    torch.save(net.eval(), MODEL / "model.pth", pickle_module=pickle)
    torch.export.save(torch.export.export(net.eval(), (torch.zeros(8, 3, 64, 64),)), MODEL / "model.pt2")


def compute() -> dict[str, object]:
    torch.set_num_threads(2)
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    net = torch.load(MODEL / "model.pth", pickle_module=pickle, weights_only=False)
    logits = net(images)
    (gradient,) = torch.autograd.grad(logits.max(1).values.sum(), images)
    exported = torch.export.load(MODEL / "model.pt2").module()(images)
    return {
        "threads": torch.get_num_threads(),
        "tasks": len(os.listdir("/proc/self/task")) if not PLAN["confined_now"] else None,
        "digests": [digest(tensor) for tensor in (logits, gradient, exported, next(net.parameters()))],
    }


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest()


def forked(confined: bool, work: object) -> object:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if confined:
                confine((*default_readable(), MODEL), Path(PLAN["scratch"]), Limits(), keep=(2, tell), parent=PARENT)
            PLAN["confined_now"] = confined
            os.write(tell, json.dumps(work()).encode())  # type: ignore[operator]
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as answers:
        said = answers.read()
    os.waitpid(pid, 0)
    return json.loads(said)


forked(False, make)
sys.stdout.write(json.dumps({"free": forked(False, compute), "confined": forked(True, compute)}))
