"""CIFAR-10 and CIFAR-100 in the authors' Python format."""

import hashlib
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import calculate_md5

from case_monitor.dataset.content_digest import content_digest
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.errors import DataError
from case_monitor.settings import CifarSplit


def read_cifar(spec: CifarSplit) -> RawSplit:
    """Read the test images."""
    dataset = CIFAR10 if spec.kind == "cifar10" else CIFAR100
    try:
        cifar = dataset(str(spec.path), train=False, download=False)
    except RuntimeError:  # its text advises an argument that is not ours
        folder = spec.path / dataset.base_folder
        raise DataError(
            f"split: the files of {spec.kind} were expected in {folder}; {_why_not(dataset, folder)}"
        ) from None
    labels = np.array(cifar.targets, dtype=np.int64)
    return RawSplit(
        name=f"{spec.kind}-test",
        images=cifar,
        sample_ids=tuple(f"test-{i:05d}" for i in range(len(labels))),
        labels=labels,
        class_names=tuple(cifar.classes),
        digest=hashlib.sha256(cifar.data.tobytes() + labels.tobytes()).hexdigest(),
        contents=tuple(content_digest(image.tobytes()) for image in cifar.data),
    )


def _why_not(dataset: type[CIFAR10], folder: Path) -> str:
    """Which of the files is not as its authors gave it."""
    meta = dataset.meta["filename"], dataset.meta["md5"]
    for name, expected in (*dataset.train_list, *dataset.test_list, meta):  # torchvision wants all of them
        if not (folder / name).is_file():
            return f"{name} is missing"
        came = calculate_md5(folder / name)
        if came != expected:
            return f"{name} has the MD5 sum {came}, {expected} was expected: it is damaged, or another"
    return "they are missing or damaged"
