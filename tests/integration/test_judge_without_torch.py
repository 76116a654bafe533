"""After whole commands through a real registry, the process that judges has not imported torch.

About 25 processor seconds: one process for six commands, beside the demo that all tests here share.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.fresh_commands import FORBIDDEN, fresh

CONFIG = """
tracking_uri: sqlite:///mlflow.db
experiment: quick
protocol: {{methods: [case, gradcam], sample_size: 150}}
policy: {{thresholds: paper, min_samples: 40}}
models:
  digits:
    split: {{kind: npz, path: {split}}}
"""


def test_no_command_that_judges_imports_torch(demo_copy: Callable[[str], Path], demo: object) -> None:
    config = demo_copy(CONFIG)
    with np.load(demo.directory / "digits-validation.npz") as split:  # type: ignore[attr-defined]
        Image.fromarray(split["images"][0]).save(config.parent / "digit.png")
    commands = {
        ("gate", "digits/3"): 1,
        ("check", "digits/2"): 0,
        ("nightly",): 0,
        ("explain", "digits/2", "digit.png"): 0,
        ("layers", "digits/2", "--layer", "features", "--layer", "features.5", "--images", "30"): 0,
        ("doctor",): 0,
    }
    came = fresh(list(map(list, commands)), config.parent)
    for (words, code), (ended, loaded) in zip(commands.items(), came, strict=True):
        assert (words, ended, loaded & FORBIDDEN) == (words, code, set())
    assert "case_monitor.judging.evaluate" in came[0][1]
