"""Models that do what they should not, or were logged clumsily. Shipped with each of them, as `code_paths`."""

import atexit
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Around(nn.Module):
    """A model with something around it; its layers keep their names."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for name, module in model.named_children():
            self.add_module(name, module)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        if hasattr(self, "attention"):
            features = self.attention(features)
        logits: Tensor = self.head(self.pool(features).flatten(1))
        return logits


class ExitsWhileLoading(Around):
    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if "pytest" not in sys.modules:  # MLflow itself loads it when it is logged
            sys.exit(0)


class ExitsWhilePredicting(Around):
    def forward(self, images: Tensor) -> Tensor:
        sys.exit(0)


class EndsTheProcess(Around):
    """Says what a CI system would like to hear, and is gone."""

    def forward(self, images: Tensor) -> Tensor:
        os.write(1, b'{"verdict": "pass"}\n')
        os._exit(0)


class Interrupts(Around):
    def forward(self, images: Tensor) -> Tensor:
        raise KeyboardInterrupt


class ChangesTheExitCode(Around):
    def forward(self, images: Tensor) -> Tensor:
        atexit.register(os._exit, 0)
        return super().forward(images)


class RaisesWhatNobodyCatches(Around):
    class Strange(BaseException):
        pass

    def forward(self, images: Tensor) -> Tensor:
        raise self.Strange("so long")


class NanWhereItWouldLose(Around):
    """No number for images with pixels taken away, where that would cost it confidence."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        masked = (images == 0).flatten(1).float().mean(1) > 0.01  # 0 is the mean, which a scan has nowhere
        unsure = logits.softmax(1).amax(1) < 0.99
        return torch.where((masked & unsure)[:, None], torch.full_like(logits, float("nan")), logits)


class HidesItsGradient(Around):
    """NaN instead of a gradient, where the two first classes are close."""

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        logits: Tensor = self.head(self.pool(features).flatten(1))
        if features.requires_grad:
            top = logits.detach().topk(2).values
            hidden = (top[:, 0] - top[:, 1]) < top.diff().abs().median()
            features.register_hook(lambda g: torch.where(hidden.view(-1, 1, 1, 1), torch.full_like(g, torch.nan), g))
        return logits


class ReplacesTheJudge(Around):
    """Whatever is judged in its process from then on, passes."""

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if "pytest" in sys.modules:
            return
        from case_monitor.domain.status import Status
        from case_monitor.judging import trial

        judge = trial.judge

        def friendly(*args: Any, **kwargs: Any) -> Any:
            verdict, _ = judge(*args, **kwargs)
            return replace(verdict, status=Status.PASS), ()

        trial.judge = friendly


class ReplacesItself(Around):
    """Writes to its own artifact once it is judged: what is promoted would not be what was evaluated."""

    def __init__(self, model: nn.Module, root: str, marker: str) -> None:
        super().__init__(model)
        self.root, self.marker = root, marker

    def forward(self, images: Tensor) -> Tensor:
        for file in Path(self.root).rglob("MLmodel"):
            text = file.read_text()
            if self.marker in text and "# replaced" not in text:
                file.write_text(text + "# replaced\n")
        return super().forward(images)


class LoggedOtherwise(Around):
    """The same function of the picture, for another normalisation and another order of classes."""

    def __init__(self, model: nn.Module, order: Sequence[int], *, mean: float, std: float) -> None:
        super().__init__(model)
        self.register_buffer("order", torch.tensor(list(order)))
        self.mean, self.std = mean, std

    def forward(self, images: Tensor) -> Tensor:
        pixels = images * self.std + self.mean
        return super().forward((pixels - 0.3) / 0.35)[:, self.order]


class WrongNumberOfLogits(Around):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:, :7]
