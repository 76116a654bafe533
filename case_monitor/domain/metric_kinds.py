"""What kind of figure a name is the name of."""

from case_monitor.domain.metrics import named
from case_monitor.domain.policy import vs_baseline


def needs_baseline(name: str) -> bool:
    """Whether there is no such figure without a version to compare with."""
    found = named(name)
    return name.endswith(vs_baseline("")) or (found is not None and found.metric.needs_baseline)


def is_of_classes(name: str) -> bool:
    """Whether the figure counts classes rather than images."""
    found = named(name)
    return found is not None and found.metric.of_classes


def is_as_seen(name: str) -> bool:
    """Whether the figure is no estimate, which more images would make surer."""
    found = named(name)
    return found is not None and found.metric.as_seen


def is_of_explained(name: str) -> bool:
    """Whether the figure, or the difference, is one of the explained images rather than of all that are predicted."""
    found = named(name.removesuffix(vs_baseline("")))
    return found is not None and (found.metric.of_methods or found.metric.of_explained)
