"""`demo`: three versions of one model through the whole system, with the policy that every user gets.

Everything is kept below one directory, and a second run goes on where the first one stopped.
"""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mlflow.tracking import MlflowClient
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn

from case_monitor.cli.progress import showing_progress
from case_monitor.cli.say import say
from case_monitor.cli.show import STATUS_STYLE
from case_monitor.cli.standard_output import results_console
from case_monitor.demo.digits import CLASS_NAMES, MEAN, SIDE, STD, Digits, load_digits, train
from case_monitor.demo.models import AttentionCNN, PlainCNN
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.networks.log_model import log_model
from case_monitor.registry.client import Registry
from case_monitor.settings import Preprocessing, Settings, load_settings
from case_monitor.steps.promote import promote
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.steps.running import run_flow
from case_monitor.store import read
from case_monitor.store.open import open_store
from case_monitor.store.read.promotions import promotions

NAME = "digits"
CONFIG = """\
# Written by `case-monitor demo`. Everything that is not here has its default.
tracking_uri: sqlite:///mlflow.db
database_url: sqlite:///case-monitor.db
models:
  digits:
    split: {kind: npz, path: digits-validation.npz}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One version of the demo's model."""

    version: int
    title: str
    build: Callable[[], nn.Module]
    epochs: int


STORY = (
    Chapter(version=1, title="a small plain CNN", build=lambda: PlainCNN(16), epochs=8),
    Chapter(version=2, title="a better plain CNN", build=lambda: PlainCNN(24), epochs=10),
    Chapter(version=3, title="an equally accurate CNN with attention", build=lambda: AttentionCNN(16), epochs=24),
)


def run_demo(directory: Path) -> None:
    """Register three versions, gate each, and show what came of it."""
    console = results_console()
    directory = directory.absolute()
    digits = load_digits()
    config = _write_inputs(directory, digits)
    settings = load_settings(config)
    registry = Registry(settings.tracking_uri)
    for chapter in STORY:
        _register(chapter, settings, registry, digits, console)
        _gate(chapter, settings, config, console)
    _show_story(settings, registry, console)
    _show_next_steps(settings, config, console)


def _write_inputs(directory: Path, digits: Digits) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    split = directory / "digits-validation.npz"
    if not split.exists():  # its bytes are part of every evaluation's identity
        partial = split.with_suffix(".partial.npz")
        np.savez_compressed(
            partial, images=digits.val_images, labels=digits.val_labels, class_names=np.array(CLASS_NAMES)
        )
        partial.replace(split)
    config = directory / "case-monitor.yaml"
    if not config.exists():
        config.write_text(CONFIG, encoding="utf-8")
    return config


def _register(chapter: Chapter, settings: Settings, registry: Registry, digits: Digits, console: Console) -> None:
    if registry.has_version(ModelRef(NAME, version=chapter.version)):
        return
    say(f"Version {chapter.version}: train {chapter.title} on {len(digits.train_labels)} digits")
    torch.manual_seed(chapter.version - 1)
    model = train(chapter.build(), digits, epochs=chapter.epochs, seed=chapter.version - 1)
    log_model(
        model,
        NAME,
        tracking_uri=settings.tracking_uri,
        input_shape=(1, SIDE, SIDE),
        num_classes=len(CLASS_NAMES),
        class_names=CLASS_NAMES,
        preprocessing=Preprocessing(mean=MEAN, std=STD),
    )
    console.print(f"Version {chapter.version}: trained and registered {chapter.title}.", highlight=False)


def _gate(chapter: Chapter, settings: Settings, config: Path, console: Console) -> None:
    if chapter.version in _decided(settings):
        console.print(f"Version {chapter.version}: already decided, see below.", highlight=False)
        return
    with showing_progress(f"gate {NAME}/{chapter.version}"):
        gated = run_flow(promote, EvaluationRequest(model=f"{NAME}/{chapter.version}", config=str(config), reuse=True))
    console.print(Text(f"Version {chapter.version}: {gated.outcome.verdict.status}, {gated.promotion.decision}."))


def _decided(settings: Settings) -> dict[int, read.StoredPromotion]:
    """Version -> its first decision that was carried out."""
    engine = open_store(settings.database_url.get_secret_value())
    try:
        log = promotions(engine, NAME)
    finally:
        engine.dispose()
    return {entry.version: entry for entry in log if entry.applied_at is not None}


def _show_story(settings: Settings, registry: Registry, console: Console) -> None:
    table = Table(title="Three versions of one model", title_justify="left")
    for header in ("version", "accuracy", "maps know their class", "verdict", "alias"):
        table.add_column(header, justify="left" if header in {"version", "verdict"} else "right")
    engine = open_store(settings.database_url.get_secret_value())
    champion = registry.alias_holder(NAME, settings.alias)
    sentences = []
    decided = _decided(settings)
    try:
        for chapter in STORY:
            entry = decided[chapter.version]
            verdict = read.load_verdict(engine, entry.evaluation_id)
            summaries = read.load_summaries(engine, entry.evaluation_id)
            table.add_row(
                f"{chapter.version}, {chapter.title}",
                _percent(summaries, "accuracy", ""),
                _percent(summaries, "pair_contrast", ""),
                Text(f"{verdict.status}, {entry.decision}", style=STATUS_STYLE[verdict.status]),
                settings.alias if chapter.version == champion else "",
            )
            sentences += _alarm(verdict, [a.advice for a in read.load_alerts(engine, entry.evaluation_id)])
    finally:
        engine.dispose()
    console.print(table)
    for sentence in sentences:
        console.print(Text(sentence, style="bold red"))


def _alarm(verdict: Verdict, advice: list[str]) -> list[str]:
    return [] if verdict.status == "pass" else [f"{verdict.sentence} {advice[0] if advice else ''}"]


def _percent(summaries: tuple[MetricSummary, ...], metric: str, method: str) -> str:
    value = next(s.value for s in summaries if (s.metric, s.method, s.class_idx) == (metric, method, None))
    return f"{value:.1%}"


def _show_next_steps(settings: Settings, config: Path, console: Console) -> None:
    client = MlflowClient(settings.tracking_uri)
    engine = open_store(settings.database_url.get_secret_value())
    try:
        runs = {e.version: e.mlflow_run_id for e in reversed(read.evaluations(engine, NAME)) if e.mlflow_run_id}
    finally:
        engine.dispose()
    console.print("\nLook at the pictures:", style="bold")
    for version, run_id in sorted(runs.items()):
        folder = client.get_run(str(run_id)).info.artifact_uri.removeprefix("file://")
        console.print(f"  version {version}: {folder}/figures/", markup=False, highlight=False, soft_wrap=True)
    command = Path(sys.argv[0]).resolve().parent / "case-monitor"
    program = shlex.quote(str(command)) if command.exists() else "case-monitor"
    console.print("Try next:", style="bold")
    for line in (
        f"cd {shlex.quote(str(config.parent))}",
        f"{program} check {NAME}/3; echo $?        # 1: fails, whatever its accuracy",
        f"{program} check {NAME}@{settings.alias}; echo $?  # 0: the version in production",
        f"{program} gate {NAME}/3                  # withheld, on the stored evidence",
        f"{program} check --help",
    ):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
