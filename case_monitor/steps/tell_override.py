"""What is said of an override once the alias has moved: by the run that moved it, or the next if that one died."""

import logging

from sqlalchemy import Engine

from case_monitor.alerts.override import Override
from case_monitor.domain.errors import StaleEvidenceError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Promotion
from case_monitor.settings import Settings
from case_monitor.steps.edges.registry import open_registry
from case_monitor.steps.running import run_id, step
from case_monitor.store import write

logger = logging.getLogger("case_monitor.override")

TAG = "case_monitor.override"


def tell_override(
    settings: Settings, engine: Engine, promotion_id: int, promotion: Promotion, model: ModelVersion
) -> None:
    """In the registry, in the audit log, and to people; the log last, so that a crash before is seen there.

    Raises:
        StaleEvidenceError: the entry in the audit log says too little.
    """
    made = _override(promotion)
    set_override_tag(settings, made)
    confirm_override(engine, promotion_id, made, model)
    logger.warning("alias %s moved against the verdict to version %d, %s", made.alias, made.version, made)


def _override(promotion: Promotion) -> Override:
    if promotion.decided_by is None or promotion.valid_until is None:
        msg = f"the override of {promotion.model_name}/{promotion.version} in the audit log names nobody, or no end"
        raise StaleEvidenceError(msg)
    return Override(
        model_name=promotion.model_name,
        version=promotion.version,
        alias=promotion.alias,
        by=promotion.decided_by,
        reason=promotion.reason,
        until=promotion.valid_until,
    )


@step("tag-override", retried=True)
def set_override_tag(settings: Settings, made: Override) -> None:
    """Say so to whoever looks at the version in the registry."""
    open_registry(settings).set_tags(made.model_name, made.version, {TAG: str(made)[:500]})


@step("confirm-override", retried=True)
def confirm_override(engine: Engine, promotion_id: int, made: Override, model: ModelVersion) -> None:
    """Note in the audit log that the registry is as decided, and open the alert."""
    write.apply_override(engine, promotion_id, made, model, run_id())
