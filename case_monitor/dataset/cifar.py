"""CIFAR-10 and CIFAR-100 in the authors' Python format."""

import hashlib

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

from case_monitor.dataset.raw_split import RawSplit, content_digest
from case_monitor.domain.errors import DataError
from case_monitor.settings import CifarSplit


def read_cifar(spec: CifarSplit) -> RawSplit:
    """Read the test images."""
    dataset = CIFAR10 if spec.kind == "cifar10" else CIFAR100
    try:
        cifar = dataset(str(spec.path), train=False, download=False)
    except RuntimeError:  # its text advises an argument that is not ours
        msg = f"split: the files of {spec.kind} were expected in {spec.path}; they are missing or damaged"
        raise DataError(msg) from None
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
