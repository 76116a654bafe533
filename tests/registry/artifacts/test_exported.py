"""What may be in an exported program: nothing that its loader would unpickle or evaluate."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim

from case_monitor.registry.artifact import check_artifact
from tests.registry.artifacts.asking import DIGITS_3, REFUSED, refusal_of
from tests.registry.artifacts.corpus import ODD, RUNNING, Change, members_of, save, statement, write_as_torch


@pytest.mark.parametrize("change", RUNNING.values(), ids=RUNNING.keys())
def test_what_would_run_is_refused_and_does_not_run(version: Path, tmp_path: Path, change: Change) -> None:
    canary, program = tmp_path / "canary", version / "data" / "model.pt2"
    members = members_of(program)
    change(members, statement(canary))
    write_as_torch(program, members)
    assert ": data/model.pt2: " in refusal_of(version)
    assert not canary.exists()
    with suppress(Exception):  # having run, it need not load
        torch.export.load(str(program)).module()(torch.zeros(2, 3, 8, 8))
    assert canary.exists(), "the trap does work"


@pytest.mark.parametrize("change", ODD.values(), ids=ODD.keys())
def test_what_is_not_known_is_refused(version: Path, tmp_path: Path, change: Change) -> None:
    canary, program = tmp_path / "canary", version / "data" / "model.pt2"
    members = members_of(program)
    change(members, statement(canary))
    write_as_torch(program, members)
    assert ": data/model.pt2" in refusal_of(version)
    assert not canary.exists()


def test_what_was_written_anew_without_a_change_may_be_loaded(version: Path) -> None:
    program = version / "data" / "model.pt2"
    write_as_torch(program, members_of(program))
    check_artifact(version, DIGITS_3, REFUSED)


class AnySize(nn.Module):
    """Asks for the sizes of its input, and has guards."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] % 2:
            x = x[:, :, 1:]
        maps = nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
        return maps.flatten(1)[:, :10] * (x.shape[2] // 3)


@pytest.mark.parametrize("strict", [False, True])
def test_sizes_that_are_all_open_may_be_loaded(version: Path, strict: bool) -> None:
    shapes = {"x": dict.fromkeys((0, 2, 3), Dim.AUTO)}
    program = torch.export.export(AnySize(), (torch.zeros(2, 3, 16, 16),), dynamic_shapes=shapes, strict=strict)
    torch.export.save(program, version / "data" / "model.pt2")
    check_artifact(version, DIGITS_3, REFUSED)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.fc(x.mean((2, 3)))}


def test_a_dict_of_outputs_may_be_loaded(version: Path) -> None:
    program = torch.export.export(Named(), (torch.zeros(2, 3, 8, 8),))
    torch.export.save(program, version / "data" / "model.pt2")
    check_artifact(version, DIGITS_3, REFUSED)


def _network(name: str) -> Callable[[], nn.Module]:
    from torchvision import models

    return lambda: getattr(models, name)(weights=None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), [("resnet18", 64), ("mobilenet_v3_small", 64), ("swin_t", 64)])
def test_networks_of_torchvision_may_be_loaded(tmp_path: Path, name: str, side: int) -> None:
    check_artifact(save(tmp_path / "model", _network(name)(), side), DIGITS_3, REFUSED)
