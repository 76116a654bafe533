"""The last evaluation of each version."""

from collections.abc import Iterable

from case_monitor.store.read.evaluation_list import EvaluationLine


def latest_of_versions(lines: Iterable[EvaluationLine]) -> list[EvaluationLine]:
    """The last evaluation of each version, the highest version first.

    Args:
        lines: the last saved first.
    """
    latest: dict[int, EvaluationLine] = {}
    for line in lines:
        latest.setdefault(line.version, line)
    return sorted(latest.values(), key=lambda line: -line.version)
