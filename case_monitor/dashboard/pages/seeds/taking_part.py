"""Which versions are one study of seeds: those of a group, or those that are named."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import HTTPException

from case_monitor.dashboard.pages.seeds.version_ranges import VersionRanges
from case_monitor.dashboard.parts.latest import latest_of_versions
from case_monitor.store.read.evaluation_list import EvaluationLine

MOST = 100
DEFAULT_METRIC = "agreement_mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedQuery:
    """Whose seeds; `versions` as in `VersionRanges`, empty for those of the group.

    `group` is the name of a study of seeds; empty for that of the version evaluated last which has one.
    """

    model: str
    versions: str = ""
    group: str = ""
    metric: str = DEFAULT_METRIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One version, by the evaluation that is on the same split under the same protocol as the others'."""

    version: int
    evaluation_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A version that does not take part, and why."""

    version: int
    why: str


def taking_part(
    lines: Sequence[EvaluationLine], chosen: SeedQuery, groups: Sequence[str]
) -> tuple[EvaluationLine, list[Seed], list[LeftOut]]:
    """The evaluation that says how they are measured, those like it, and who is left out; nothing without a group.

    Raises:
        HTTPException: 400 for versions that there are not.
    """
    asked = _asked(chosen.versions)
    group = chosen.group or ("" if asked is not None else next(iter(groups), ""))
    if asked is None and not group:
        return lines[0], [], []
    return _seeds(lines, asked, group)


def _asked(text: str) -> VersionRanges | None:
    if not text.strip():
        return None
    try:
        return VersionRanges.read(text)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _seeds(
    lines: Sequence[EvaluationLine], asked: VersionRanges | None, group: str
) -> tuple[EvaluationLine, list[Seed], list[LeftOut]]:
    """The evaluation that says on which split and under which protocol, those like it, and the versions without."""
    named = [line for line in lines if (line.seed_group == group if asked is None else line.version in asked)]
    last = latest_of_versions(named)
    grouped = [line for line in named if not group or line.seed_group == group]
    if not grouped:
        of = f" of group {group}" if group else ""
        msg = f"versions: some of the model's evaluated versions{of} were expected, none of them came"
        raise HTTPException(400, msg)
    reference = _reference(grouped, most=asked is not None)
    alike = {
        line.version: line
        for line in reversed(lines)  # of a version evaluated twice the last counts
        if _measured_as(line) == _measured_as(reference)
    }
    among = [line.version for line in last if line.version in alike]
    if len(among) > MOST:
        raise HTTPException(400, f"versions: at most {MOST} were expected, {len(among)} came")
    left_out = [_left_out(line, reference) for line in last if line.version not in alike]
    if asked is not None:
        unknown = asked.unknown(line.version for line in lines)
        left_out += [LeftOut(version=version, why="not evaluated") for version in unknown]
    seeds = [Seed(version=version, evaluation_id=alike[version].id) for version in sorted(among)]
    return reference, seeds, sorted(left_out, key=lambda out: out.version)


def _reference(lines: Sequence[EvaluationLine], *, most: bool) -> EvaluationLine:
    """An evaluation on the split and under the protocol that versions have in common.

    Nights measure the version in production on data of its own, so the newest evaluation alone says little.

    Args:
        lines: the last saved first.
        most: take what most versions have in common, the newest if there are several; else the newest that two have.
    """
    versions: dict[tuple[str | None, ...], set[int]] = {}
    for line in lines:
        versions.setdefault(_measured_as(line), set()).add(line.version)
    wanted = max(map(len, versions.values()))
    wanted = wanted if most else min(wanted, 2)
    return next(line for line in lines if len(versions[_measured_as(line)]) >= wanted)


def _measured_as(line: EvaluationLine) -> tuple[str | None, ...]:
    """What versions that are compared have in common."""
    return line.seed_group, line.split_digest, line.protocol_digest, line.target_layer


def _left_out(line: EvaluationLine, reference: EvaluationLine) -> LeftOut:
    if line.seed_group != reference.seed_group:
        return LeftOut(version=line.version, why=f"of group {line.seed_group}" if line.seed_group else "of no group")
    whys = (
        ("on another split", line.split_digest == reference.split_digest),
        ("under another protocol", line.protocol_digest == reference.protocol_digest),
        ("at another layer", line.target_layer == reference.target_layer),
    )
    return LeftOut(version=line.version, why="evaluated " + " and ".join(why for why, same in whys if not same))
