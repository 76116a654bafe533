"""What a process of its own costs: one evaluation with the model held here, and with it confined, in turn.

`python -m benchmarks.isolation` prints processor seconds and peak memory of whole processes with all that they start,
as medians over rounds, and whether the figures are the same to the last digit.
"""

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.timing import say
from case_monitor.demo.digits import CLASS_NAMES, MEAN, STD, load_digits, train
from case_monitor.demo.models import PlainCNN
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.split import Split
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.isolation.servers import fork_server
from tests.support.models_here import saved
from tests.support.sources import TensorSource
from tests.support.trial import LoadedVersion, evaluate

WAYS = ("held", "confined")
_MIB = 1024


def subjects(network: str) -> tuple[list[nn.Module], TensorSource]:
    """Two versions, and images."""
    if network == "digits":
        digits = load_digits()
        torch.manual_seed(0)
        models: list[nn.Module] = [train(PlainCNN(16), digits, epochs=3, seed=seed) for seed in (0, 1)]
        images = (torch.from_numpy(digits.val_images)[:, None].float() / 255 - MEAN[0]) / STD[0]
        return models, TensorSource(images, digits.val_labels)
    from torchvision.models import resnet18

    torch.manual_seed(0)
    models = [resnet18(num_classes=10).eval() for _ in range(2)]
    return models, TensorSource(torch.randn(64, 3, 224, 224), np.arange(64) % 10)


def evaluation(network: str, way: str) -> dict[str, Any]:
    """Once, with what this process and all that it started took."""
    models, source = subjects(network)
    before = _cpu()
    protocol = Protocol(methods=("case", "gradcam", "gradcam++", "layercam"), sample_size=500)
    split = Split(name=network, digest="0" * 64, class_names=tuple(CLASS_NAMES), size=len(source.target))

    def version(number: int) -> LoadedVersion:
        files = saved(models[number], f"model m/{number}")
        return LoadedVersion(
            version=ModelVersion(name="m", version=number, run_id=None, digest="0" * 64),
            model=models[number] if way == "held" else lambda p, device: ConfinedModel(files, p, device, Isolation()),
            split=split,
            source=source,
        )

    found = evaluate(version(1), version(0), policy=Policy(), protocol=protocol).evaluation
    if way == "confined":
        fork_server().close()
    figures = repr(found.summaries).encode() + found.preds.confidence.tobytes()
    return {
        "figures": hashlib.sha256(figures).hexdigest(),
        "cpu_s": _cpu() - before,
        "own_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB,
        "largest_child_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / _MIB,
    }


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def _in_a_process(network: str, way: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.isolation", "--row", network, way]
    root = Path(__file__).absolute().parents[1]
    ran = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return row


def table(networks: list[str], rounds: int) -> str:
    """In turn, so that both ways meet the same machine."""
    lines = [
        "| network | processor s, held | confined | ratio | own MiB, held | confined | largest child | same figures |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for network in networks:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for i in range(rounds):
            for way in WAYS:
                say(f"isolation: {network}, {way}, round {i + 1} of {rounds}")
                rows[way].append(_in_a_process(network, way))

        def median(way: str, what: str, of: dict[str, list[dict[str, Any]]] = rows) -> float:
            return statistics.median(row[what] for row in of[way])

        ratio = statistics.median(b["cpu_s"] / a["cpu_s"] for a, b in zip(rows["held"], rows["confined"], strict=True))
        same = len({row["figures"] for way in WAYS for row in rows[way]}) == 1
        lines.append(
            f"| {network} | {median('held', 'cpu_s'):.1f} | {median('confined', 'cpu_s'):.1f} | {ratio:.2f} | "
            f"{median('held', 'own_mib'):.0f} | {median('confined', 'own_mib'):.0f} | "
            f"{median('confined', 'largest_child_mib'):.0f} | {'yes' if same else 'NO'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", nargs=2, metavar=("NETWORK", "WAY"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["digits", "resnet18"])
    given = parser.parse_args()
    if given.row:
        print(json.dumps(evaluation(*given.row)))
    else:
        print(table(given.networks, given.rounds))


if __name__ == "__main__":
    main()
