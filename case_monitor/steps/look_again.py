"""Do stored figures still come out? What a version's files are says little about code that it takes from elsewhere."""

import logging
from dataclasses import replace

from sqlalchemy import Engine

from case_monitor.alerts.standing import reproduction_alert
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.status import Status
from case_monitor.judging.reproduce import Stored, reproduce
from case_monitor.settings import Settings
from case_monitor.steps.bench import open_bench
from case_monitor.steps.claims import device_slot
from case_monitor.steps.edges.results import fetch_stored
from case_monitor.steps.inputs import Inputs
from case_monitor.steps.running import step
from case_monitor.store.read.evaluations import StoredEvaluation

logger = logging.getLogger("case_monitor.evidence")


@step("look-again")
def look_again(inputs: Inputs, stored: Stored, images: int) -> Reproduction:
    """Predict and explain some images again. Not retried: the same numbers would come out."""
    version = inputs.candidate
    what = f"look again at {version.version}"
    with open_bench(inputs, what) as bench, foreign_code(f"model {version.version}"):
        return reproduce(bench.subject(version), stored, protocol=inputs.protocol, images=images)


def why_not_again(settings: Settings, engine: Engine, inputs: Inputs, published: StoredEvaluation) -> str | None:
    """Why a stored pass counts no more, in a sentence; None: it does. Nothing moves on any other verdict."""
    if published.verdict_status is not Status.PASS:
        return None
    version = inputs.candidate.version
    stored: Stored | None = fetch_stored(engine, published)
    if stored is None:
        return (
            f"{version} is evaluated anew: the scores of evaluation {published.id} are gone, so none can be compared."
        )
    with device_slot(engine, settings, inputs.device):
        found: Reproduction = look_again(inputs, stored, settings.reproduction_images)
    alert = reproduction_alert(version, found)
    return f"{alert.message} So it is evaluated anew." if alert else None


def with_note(inputs: Inputs, note: str) -> Inputs:
    """The same, with one more thing to be said with the verdict."""
    logger.warning("%s", note)
    return replace(inputs, notes=(*inputs.notes, note))
