"""Which versions are one training with several seeds: the registry does not know, and their team says it by a tag."""

import logging
import unicodedata
from typing import Any

SEED_GROUP_TAG = "case_monitor.seed_group"
LONGEST = 100
_LOG = logging.getLogger(__name__)


def seed_group_of(version: Any) -> str | None:
    """The name of a version's study of seeds; None where it has none, or one that is no name, which is warned of.

    Args:
        version: as MLflow's client gives it.
    """
    tags = version.tags if isinstance(version.tags, dict) else {}
    group = tags.get(SEED_GROUP_TAG)
    if group is None:
        return None
    if isinstance(group, str) and group.strip() and len(group) <= LONGEST and group.isprintable():
        return " ".join(unicodedata.normalize("NFC", group).split())  # what looks the same is the same
    _LOG.warning(
        "tag %s of version %s is not taken: a printable name of up to %d characters was expected",
        SEED_GROUP_TAG,
        version.version,
        LONGEST,
    )
    return None
