"""`study`: models x layers x seeds explained and tested, each cell once, and the paper's tables of all of them.

No alert, no notice, no tag and no alias: results are stored in a database of the study's own, beside its report.
"""

import io
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from prefect import flow
from sqlalchemy import Engine

from case_monitor.domain.digests import digest
from case_monitor.domain.errors import CaseMonitorError, DataError
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_ref import ModelRef
from case_monitor.evidence.mlflow_run import log_folder, make_tracking_database
from case_monitor.evidence.pictures import gallery
from case_monitor.evidence.study import load_cell, on_other_images, write_study
from case_monitor.judging.evaluate import evaluate
from case_monitor.logs.configure import configure_logs, logging_about
from case_monitor.settings import Settings, load_settings
from case_monitor.settings.study import (
    CellRef,
    StudySettings,
    cells_of,
    read_study,
    small_study,
)
from case_monitor.steps.bench import open_bench
from case_monitor.steps.claims import alone_on
from case_monitor.steps.dry_run import with_layer
from case_monitor.steps.edges.networks import OwnNetworks
from case_monitor.steps.inputs import Inputs, gather_alone
from case_monitor.steps.progress import ProgressReport
from case_monitor.steps.requests import StudyRequest
from case_monitor.steps.running import step
from case_monitor.steps.study_directory import STUDIED, own_settings, with_study, write_directory
from case_monitor.store import read
from case_monitor.store.open import open_store
from case_monitor.store.write import save_evaluation

logger = logging.getLogger("case_monitor.study")

CELL = "cell: "
"""What the name of a stage of progress begins with that is a cell of a study, among the stages of measuring it."""
_EXPERIMENT = "case_monitor_studies"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """What came of a study.

    Attributes:
        report: its page; None: there is nothing to report, and what was reported before stays.
        finished: cells that are in the report.
        measured: cells that were measured now.
        unfinished: what is missing and why, a sentence each.
    """

    report: Path | None
    finished: int
    measured: int
    unfinished: tuple[str, ...]


@flow(name="study", flow_run_name="study in {request.directory}", persist_result=False)
def study(request: StudyRequest) -> StudyOutcome:
    """Explain and test models x layers x seeds, and write the paper's tables and figures."""
    configure_logs()
    directory = Path(request.directory).absolute()
    made = small_study(request.seeds or 5) if request.file is None else read_study(Path(request.file))
    running = _Study.begin(directory, made, request.config)
    engine = open_store(running.own.database_url.get_secret_value())
    try:
        with alone_on(engine, f"study in {directory}"):
            make_tracking_database(directory / "mlflow.db")
            running.measure(engine)
            return running.report(engine)
    finally:
        engine.dispose()


@dataclass(slots=True, kw_only=True, eq=False)
class _Study:
    """A study that is running."""

    settings: StudySettings
    directory: Path
    own: Settings
    registered: Settings | None
    ids: dict[CellRef, int] = field(default_factory=dict)
    keys: dict[CellRef, str] = field(default_factory=dict)
    unfinished: dict[CellRef, str] = field(default_factory=dict)
    measured: int = 0

    @classmethod
    def begin(cls, directory: Path, made: StudySettings, config: str | None) -> "_Study":
        """Read and write what there is to know before anything is measured."""
        others = [name for name, model in made.models.items() if model.architecture is None]
        registered = load_settings(config) if others else None
        for name in others:
            if registered is not None:
                registered.model(name)
        made = write_directory(directory, made)
        return cls(settings=made, directory=directory, own=own_settings(directory, made), registered=registered)

    def measure(self, engine: Engine) -> None:
        """Every cell that is not stored, one after the other; what fails is told at the end, and stops no other."""
        cells, progress = cells_of(self.settings), ProgressReport("study")
        began = time.monotonic()
        with OwnNetworks.of(self.settings, self.directory / STUDIED, self.own.tracking_uri) as networks:
            for done, ref in enumerate(cells):
                progress(f"{CELL}{ref}{_left(began, self.measured, len(cells) - done)}", done, len(cells))
                try:
                    if self.settings.models[ref.model].architecture:
                        networks.wait_for(ref.model, ref.version)
                    with logging_about(model=ref.model):
                        self.ids[ref] = self._cell(engine, ref)
                except CaseMonitorError as error:
                    self.unfinished[ref] = str(error)
                    logger.info("study: %s: %s", ref, error)
        progress(f"{CELL}done", len(cells), len(cells))

    def _cell(self, engine: Engine, ref: CellRef) -> int:
        """The evaluation of a cell: the stored one, or one made now."""
        inputs: Inputs = gather_alone(self._settings_of(ref), ModelRef(ref.model, version=ref.version))
        self.keys[ref] = digest(inputs.key)
        stored = read.find_evaluation(engine, inputs.key)
        if stored is not None:
            return stored.id
        findings: Findings = measure_cell(inputs)
        evaluation = findings.evaluation
        if not len(evaluation.scores.sample_ids):
            raise DataError(f"{ref}: correctly classified images were expected among those drawn, none came")
        if self._is_first(ref):
            self._keep_gallery(ref, findings)
        self.measured += 1
        # A study asks for nobody's attention, whatever its verdicts.
        return save_evaluation(engine, replace(evaluation, alerts=()), gallery=findings.gallery)

    def _settings_of(self, ref: CellRef) -> Settings:
        model, base = self.settings.models[ref.model], self.own
        if model.architecture is None and self.registered is not None:
            base = with_study(self.registered, self.own, ref.model, self.settings)
        return with_layer(base, ref.model, ref.layer)

    def _keep_gallery(self, ref: CellRef, findings: Findings) -> None:
        """Drawn before the cell is stored, so that no stored cell lacks it."""
        file = self._gallery_file(ref)
        file.parent.mkdir(exist_ok=True)
        made = io.BytesIO()
        gallery(findings.evaluation, findings.gallery).savefig(made, format="png", dpi=110, facecolor="white")
        file.write_bytes(made.getvalue())

    def _gallery_file(self, ref: CellRef) -> Path:
        return self.directory / "galleries" / f"{self.keys[ref][:32]}.png"

    def _is_first(self, ref: CellRef) -> bool:
        return ref.version == self.settings.models[ref.model].numbers[0]

    def report(self, engine: Engine) -> StudyOutcome:
        """Write and log the report of what is stored."""
        models, cells = self.settings.models, []
        for ref, evaluation_id in self.ids.items():
            model = models[ref.model]
            cells.append(
                load_cell(
                    engine,
                    evaluation_id,
                    title=model.title or ref.model,
                    data=model.data or f"{ref.model}'s split",
                    place=model.explained.index(ref.layer),
                    seed=model.numbers.index(ref.version) + 1,
                )
            )
        unfinished = tuple(f"{ref}: {why}" for ref, why in self.unfinished.items())
        replaced = on_other_images(cells)
        unfinished += tuple(
            f"{of.model}/{of.version} at {of.layer}: {of.data} was replaced while the study ran; run it again"
            for of in replaced
        )
        cells = [cell for cell in cells if cell not in replaced]
        if not cells:
            return StudyOutcome(report=None, finished=0, measured=0, unfinished=unfinished)
        files = write_study(self.settings.title, cells, unfinished, dict(self._galleries()), self.directory)
        log_folder(
            self.directory,
            files,
            name=self.settings.title,
            tracking_uri=self.own.tracking_uri,
            experiment=_EXPERIMENT,
        )
        return StudyOutcome(report=files[0], finished=len(cells), measured=self.measured, unfinished=unfinished)

    def _galleries(self) -> Iterator[tuple[str, bytes]]:
        for ref in self.ids:
            if self._is_first(ref):
                with suppress(FileNotFoundError):  # somebody deleted it: the cell is as good without
                    yield f"{ref}: the top 5% of the pixels (Figs. 1 and 3)", self._gallery_file(ref).read_bytes()


@step("measure-cell")
def measure_cell(inputs: Inputs) -> Findings:
    """Measure and judge one version by itself, at the layer of the protocol, whatever its metadata name."""
    with open_bench(inputs, f"study {inputs.candidate.version}") as bench:
        subject = replace(bench.subject(inputs.candidate), declared_layer=None)
        return evaluate(subject, None, policy=inputs.policy, protocol=inputs.protocol)


def _left(began: float, measured: int, remaining: int) -> str:
    """How long it will take, once something was measured."""
    if not measured:
        return ""
    seconds = (time.monotonic() - began) / measured * remaining
    return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
