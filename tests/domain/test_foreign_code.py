"""Whatever a model raises, wherever its code runs, is an error about that model, and never the end of the program."""

import os
import re
import signal
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import DataError, ModelError
from case_monitor.domain.foreign_code import Interrupted, foreign_code
from case_monitor.measuring.local import Bench
from case_monitor.measuring.workers.threads import Threads
from tests.steps.test_trial import POLICY, PROTOCOL, loaded, trained
from tests.support.sources import a_split, blobs
from tests.support.trial import LoadedVersion, evaluate


class OfItsOwn(BaseException):
    pass


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


RAISED = [
    (SystemExit(0), "model blobs/1 ended the program: SystemExit(0)"),
    (KeyboardInterrupt(), "model blobs/1 ended the program: KeyboardInterrupt()"),
    (GeneratorExit(), "model blobs/1 ended the program: GeneratorExit()"),
    (OfItsOwn("bye\nbye"), "model blobs/1 ended the program: OfItsOwn(bye bye)"),
    (RuntimeError("shapes 3 and\n4"), "model blobs/1 does not work: RuntimeError: shapes 3 and 4"),
    (SpeechlessError(), "model blobs/1 does not work: SpeechlessError: it does not say what"),
]


class Hostile(nn.Module):
    """Raises at one place of its life."""

    def __init__(self, error: BaseException, place: str) -> None:
        super().__init__()
        self.inner = trained(4, steps=1)
        self.error, self.place = error, place
        self.passes = 0
        if place == "hook":
            self.inner.register_forward_hook(lambda *_: self.fail())

    def fail(self) -> NoReturn:
        raise self.error

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        if self.place == "forward" or (self.place == "later" and self.passes > 20):
            self.fail()
        logits: Tensor = self.inner(images)
        return logits

    def _apply(self, *args: Any, **kwargs: Any) -> "Hostile":
        if self.place == "moving":
            self.fail()
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        return self

    def __deepcopy__(self, _memo: object) -> "Hostile":
        if self.place == "copying":
            self.fail()
        return Hostile(self.error, self.place)


def evaluated(model: nn.Module, *, workers: int = 1, baseline: LoadedVersion | None = None) -> None:
    evaluate(
        loaded(1, model, a_split(4, 64), blobs(64, (0, 1, 2, 3))),
        baseline,
        policy=POLICY,
        protocol=PROTOCOL,
        bench=Bench(workers=Threads(workers), shard_size=16),
    )


@pytest.mark.parametrize(("error", "message"), RAISED, ids=[type(error).__name__ for error, _ in RAISED])
@pytest.mark.parametrize(
    ("place", "workers"), [("forward", 1), ("later", 1), ("later", 2), ("hook", 1), ("moving", 1), ("copying", 2)]
)
def test_whatever_a_model_raises_is_about_the_model(
    error: BaseException, message: str, place: str, workers: int
) -> None:
    with pytest.raises(ModelError) as raised:
        evaluated(Hostile(error, place), workers=workers)
    if place == "copying" and isinstance(error, Exception):
        message = "a model that can be copied was expected|ended the program: SystemExit"  # from its __str__
        assert re.search(message, str(raised.value))
    else:
        assert str(raised.value) == message
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_is_about_the_version_that_raised_it() -> None:
    baseline = loaded(7, Hostile(SystemExit(0), "forward"), a_split(4, 64), blobs(64, (0, 1, 2, 3)))
    with pytest.raises(ModelError, match=r"^model blobs/7 ended the program: SystemExit\(0\)$"):
        evaluated(trained(4, steps=1), baseline=baseline)


class CtrlC(nn.Module):
    """While it runs, a person presses Ctrl-C."""

    def forward(self, images: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return torch.zeros(len(images), 4)


def test_a_persons_own_interrupt_stays_one() -> None:
    with pytest.raises(Interrupted):
        evaluated(CtrlC())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_our_own_errors_pass_and_the_first_cause_is_kept() -> None:
    ours = DataError("image 3")
    with pytest.raises(DataError) as same, foreign_code("model m/1"):
        raise ours
    assert same.value is ours
    with pytest.raises(ModelError) as raised, foreign_code("model m/1"):
        raise RuntimeError("x")
    assert isinstance(raised.value.__cause__, RuntimeError)
