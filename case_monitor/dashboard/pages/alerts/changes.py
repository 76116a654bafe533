"""What people do to an alert through the web: look after it, or keep it quiet for some time."""

import logging
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError
from sqlalchemy import Engine

from case_monitor.alerts.notice import plain
from case_monitor.store import write

logger = logging.getLogger("case_monitor.service")

_LAST_YEAR = 9000  # beyond it, zones lead out of what times can hold


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line or any(unicodedata.category(character) in {"Cc", "Cs"} for character in line):
        raise PydanticCustomError("one_line", "a text without control characters was expected")
    return line


def _in_the_future(moment: datetime) -> datetime:
    if moment <= datetime.now(UTC) or moment.year > _LAST_YEAR:
        raise PydanticCustomError("in_the_future", "a time in the future was expected")
    return moment.astimezone(UTC)


Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)]
Reason = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_one_line)]
FutureTime = Annotated[AwareDatetime, AfterValidator(_in_the_future)]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Acknowledgement(_Change):
    """Somebody looks after an alert."""

    by: Name
    """Who."""

    def apply(self, engine: Engine, alert_id: int) -> None:
        """Note it; raises ClosedAlertError."""
        write.acknowledge(engine, alert_id, self.by)
        logger.info("alert %d: %s looks after it", alert_id, plain(self.by))


class Mute(_Change):
    """An alert is kept quiet for some time."""

    until: FutureTime
    """With its time zone; no notices before then."""
    reason: Reason
    """Why."""
    by: Name
    """Who does so."""

    def apply(self, engine: Engine, alert_id: int) -> None:
        """Note it; raises ClosedAlertError."""
        write.mute(engine, alert_id, self.until, self.reason, self.by)
        told = (plain(self.by), self.until.isoformat(), plain(self.reason))
        logger.info("alert %d: muted by %s until %s: %s", alert_id, *told)


class Unmute(_Change):
    """An alert is heard again."""

    def apply(self, engine: Engine, alert_id: int) -> None:
        """Note it; raises ClosedAlertError."""
        write.unmute(engine, alert_id)
        logger.info("alert %d: notices are sent again", alert_id)


Change = Acknowledgement | Mute | Unmute
