"""A registered model in the test's own process, and a module of a test as files; only ever one that a test has made."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from case_monitor.isolation.load_model import load_model
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.registry.loading import RegisteredModel


def loaded_here(registered: RegisteredModel) -> nn.Module:
    """Its module, without the code that was logged with it."""
    files = registered.files
    return load_model(files.path / files.data, files.path / "no code", files.title)


def saved(model: nn.Module | torch.export.ExportedProgram, title: str = "model digits/1") -> ModelFiles:
    """As MLflow lays it down, until nobody needs it."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        (folder / "data").mkdir()
        if isinstance(model, nn.Module):
            torch.save(model, folder / "data" / "model.pth")
        else:
            torch.export.save(model, folder / "data" / "model.pt2")
        return ModelFiles(folder, title, "data", "code", held=held.pop_all())
