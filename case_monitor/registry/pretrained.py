"""What a model of transformers says about itself beside its weights."""

import json
from pathlib import Path

from case_monitor.domain.errors import ModelError
from case_monitor.logs.foreign_errors import short_message


def labels_of(config: Path, title: str) -> tuple[str, ...] | None:
    """The classes in the order of the logits, by a file config.json; None where it only numbers them.

    Args:
        config: the file.
        title: whose it is, for messages.

    Raises:
        ModelError: it cannot be read, or its classes are not numbered from 0.
    """
    try:
        said = json.loads(config.read_text(encoding="utf-8")).get("id2label") or {}
        names = {int(number): str(name) for number, name in said.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{title}: its config.json cannot be read: {short_message(error)}") from None
    if sorted(names) != list(range(len(names))):
        msg = f"{title}: id2label in its config.json: classes 0, 1, 2, ... were expected, {sorted(names)[:5]} came"
        raise ModelError(msg)
    ordered = tuple(names[number] for number in range(len(names)))
    return None if ordered == tuple(f"LABEL_{number}" for number in range(len(names))) else ordered
