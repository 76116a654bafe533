"""The alias moves to what was evaluated, and to nothing else; a move that was cut short is completed."""

import logging

from sqlalchemy import Engine

from case_monitor.domain.errors import StaleEvidenceError
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.settings import Settings
from case_monitor.steps.edges.registry import give_back_alias, move_alias, read_alias, read_artifact_digest
from case_monitor.steps.edges.results import confirm_decision
from case_monitor.steps.tell_override import tell_override
from case_monitor.store import read
from case_monitor.store.read.promotions import unfinished_moves

logger = logging.getLogger("case_monitor.promote")


def move(settings: Settings, promotion: Promotion, digest: str) -> None:
    """Move the alias to the version whose artifact has this digest.

    Raises:
        StaleEvidenceError: another version took the alias since, or the artifact is not what was evaluated. If it
            changed while the alias moved, the alias is given back.
    """
    name, version, alias = promotion.model_name, promotion.version, promotion.alias
    came = read_artifact_digest(settings, name, version)
    if came != digest:
        raise StaleEvidenceError(f"{_changed_artifact(promotion, digest, came)}; alias {alias} was not moved")
    _require_unchanged(settings, promotion)
    move_alias(settings, promotion)
    came = read_artifact_digest(settings, name, version)
    if came != digest:  # asked twice: a list of files that came short once is no reason to undo what was right
        came = read_artifact_digest(settings, name, version)
    if came != digest:
        give_back_alias(settings, promotion)
        to = f"given back to version {promotion.previous_version}" if promotion.previous_version else "taken from it"
        raise StaleEvidenceError(f"{_changed_artifact(promotion, digest, came)}; alias {alias} was {to}")


def complete_moves(settings: Settings, engine: Engine, name: str, holder: int | None) -> None:
    """Confirm what moved the alias to its holder, where the run that did so died before it could.

    Not of an artifact that is another by now: nobody has seen that the right one was promoted. An override is told of.
    """
    for entry in unfinished_moves(engine, name, settings.alias, holder) if holder is not None else []:
        evaluated = {e.id: e.model for e in read.evaluations(engine, name)}[entry.evaluation_id]
        if read_artifact_digest(settings, name, entry.version) != evaluated.digest:
            logger.warning("%s/%d holds alias %s with another artifact than was judged", name, holder, entry.alias)
            continue
        if entry.decision is Decision.OVERRIDDEN:
            tell_override(settings, engine, entry.id, entry.promotion, evaluated)
        else:
            confirm_decision(engine, entry.id)
        logger.info("alias %s: completed what a run had left: version %d was %s", entry.alias, holder, entry.decision)


def changed_holder(name: str, alias: str, expected: int | None, holder: int | None) -> str:
    """What to say when the alias is not where it was."""
    return (
        f"alias {alias} of {name}: version {expected or 'none'} was expected to hold it, as in the comparison, version "
        f"{holder or 'none'} does now; check again"
    )


def _require_unchanged(settings: Settings, promotion: Promotion) -> None:
    name, previous = promotion.model_name, promotion.previous_version
    holder = read_alias(settings, name)
    if holder not in {previous, promotion.version}:
        raise StaleEvidenceError(changed_holder(name, promotion.alias, previous, holder))


def _changed_artifact(promotion: Promotion, evaluated: str, came: str) -> str:
    return (
        f"{promotion.model_name}/{promotion.version}: its files changed since they were evaluated (SHA-256 "
        f"{evaluated[:12]} then, {came[:12]} now)"
    )
