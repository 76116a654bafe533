"""The results as tables in Markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.calibration.kinds import KINDS, TWIN_OF, Goal
from benchmarks.calibration.results import FIGURES, Result, Share, of_kinds, percent, share
from benchmarks.calibration.verdicts import BESIDE, FIRST
from case_monitor.domain.methods import has_own_pair, method_title

GOAL_IMAGES = 300
_HEALTHY = ("plain CNN", "ResNet", "ConvNeXt", "ViT")
_FAILED, _WITHHELD, _CAUGHT = 0.02, 0.08, 0.95


def verdict_table(results: Sequence[Result], sizes: Sequence[int], *, held_out: bool) -> str:
    """A row for each kind: its figures, and the shares of the verdicts, withheld / failed."""
    asked = [(n, FIRST) for n in sizes] + [(GOAL_IMAGES, BESIDE)]
    heads = [f"{'first' if of == FIRST else 'beside'}, {n}" for n, of in asked]
    lines = _head("kind (networks)", "accuracy", "pair contrast", *heads, "warned", "paper, first", "paper, beside")
    for kind in KINDS:
        found = of_kinds(results, kind, held_out=held_out)
        if not found:
            continue
        cells = [f"{kind} ({len(found)})", _range([r.accuracy for r in found])]
        cells.append(_range([r.figures["pair_contrast"] for r in found]))
        cells += [_shares(found, ("contrast", n, of)) for n, of in asked]
        cells.append(str(share(found, "warned_of_position", ("contrast", GOAL_IMAGES, FIRST))))
        cells += [_shares(found, ("paper", GOAL_IMAGES, of)) for of in (FIRST, BESIDE)]
        lines.append(_row(*cells))
    return "\n".join(lines)


def _shares(found: Sequence[Result], key: tuple[str, int, str]) -> str:
    return f"{share(found, 'withheld', key)} / {share(found, 'failed', key)}"


def cause_table(results: Sequence[Result], *, held_out: bool) -> str:
    """Which blocking rules did not pass, in what share of the verdicts."""
    lines = _head("kind", "as a first version", "beside a champion")
    for kind in KINDS:
        found = of_kinds(results, kind, held_out=held_out)
        if found:
            lines.append(_row(kind, *(_causes(found, ("contrast", GOAL_IMAGES, of)) for of in (FIRST, BESIDE))))
    return "\n".join(lines)


def _causes(found: Sequence[Result], key: tuple[str, int, str]) -> str:
    tallies = [r.tallies[key] for r in found if key in r.tallies]
    draws = sum(len(t.statuses) for t in tallies)
    counted: Counter[str] = Counter()
    for t in tallies:
        counted.update(t.causes)
    return ", ".join(f"`{rule}` {percent(count / draws)}" for rule, count in counted.most_common(4)) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A goal, what was found, and whether it is reached on average over the networks."""

    name: str
    goal: str
    found: Share
    reached: bool


def aims(results: Sequence[Result]) -> Iterator[Aim]:
    """The goals, on the held-out half at `GOAL_IMAGES` images."""
    for kinds in (_HEALTHY, _HEALTHY[:2], _HEALTHY[2:]):
        found = of_kinds(results, *kinds, held_out=True)
        for of, against in (("failed", FIRST), ("withheld", FIRST), ("failed", BESIDE), ("withheld", BESIDE)):
            most = _FAILED if of == "failed" else _WITHHELD
            shares = share(found, of, ("contrast", GOAL_IMAGES, against))
            name = f"healthy ({', '.join(kinds)}) {of}, {_WORDS[against]}"
            if shares.each:
                yield Aim(name=name, goal=f"at most {most:.0%}", found=shares, reached=shares.mean <= most)
    for kind in KINDS.values():
        found = of_kinds(results, kind.name, held_out=True)
        of, against = _ASKED_OF.get(kind.goal, ("", FIRST))
        shares = share(found, of, ("contrast", GOAL_IMAGES, against)) if of else Share(each=())
        if shares.each:
            name = f"{kind.name} {_VERBS[of]}, {_WORDS[against]}"
            yield Aim(name=name, goal=f"at least {_CAUGHT:.0%}", found=shares, reached=shares.mean >= _CAUGHT)
    for against in (FIRST, BESIDE):
        shares = alike([r for r in results if r.version.held_out], ("contrast", GOAL_IMAGES, against))
        if shares.each:
            name = f"same-probability twin judged as its twin, {_WORDS[against]}"
            yield Aim(name=name, goal="100%", found=shares, reached=shares.mean == 1)


_WORDS = {FIRST: "as a first version", BESIDE: "beside a champion"}
_VERBS = {"withheld": "withheld", "warned_of_position": "warned of position"}
_ASKED_OF = {
    Goal.WITHHOLD: ("withheld", FIRST),
    Goal.WITHHOLD_BESIDE: ("withheld", BESIDE),
    Goal.WARN: ("warned_of_position", FIRST),
}


def alike(results: Sequence[Result], key: tuple[str, int, str]) -> Share:
    """In what share of the verdicts, on the same images, a twin gets what its twin gets."""
    by = {(r.kind.name, r.version.images.name, r.version.seed): r for r in results if key in r.tallies}
    twins = [(r, by.get((TWIN_OF[kind], images, seed))) for (kind, images, seed), r in by.items() if kind in TWIN_OF]
    return Share(each=tuple(r.tallies[key].alike(other.tallies[key]) for r, other in twins if other))


def aim_table(results: Sequence[Result]) -> str:
    """The goals with what was found."""
    lines = _head("what", "goal", "found", "networks, lowest to highest", "interval", "reached")
    for aim in aims(results):
        low, high = aim.found.interval
        each = aim.found.each
        of = f"{len(each)}, {percent(min(each))} to {percent(max(each))}"
        words = f"{percent(low)} to {percent(high)}"
        lines.append(_row(aim.name, aim.goal, str(aim.found), of, words, "yes" if aim.reached else "**no**"))
    return "\n".join(lines)


def fidelity_sentence(results: Sequence[Result]) -> str:
    """Whether the interval of `fidelity_dz` keeps its level on what real networks give it."""
    shares = [r.fidelity_above for r in results if r.fidelity_above == r.fidelity_above]
    if not shares:
        return ""
    return (
        f"Intervals of fidelity_dz lie above the truth in {min(shares):.1%} to {max(shares):.1%} of the samples drawn "
        f"from a network's own images, nominal 2.5% ({len(shares)} networks)."
    )


def shown_table(results: Sequence[Result], n: int) -> str:
    """Every method as the one that people are shown: its figures, and first versions withheld / failed."""
    kinds = [kind for kind in KINDS if any(r.kind.name == kind for r in results)]
    lines = _head("shown", "figure", *kinds, "twin as its twin")
    for shown in dict.fromkeys(r.shown for r in results):
        of_kind = {kind: [r for r in results if r.shown == shown and r.kind.name == kind] for kind in kinds}
        for figure in FIGURES if has_own_pair(shown) else FIGURES[1:]:
            cells = [_range([r.figures.get(figure, float("nan")) for r in found]) for found in of_kind.values()]
            lines.append(_row(method_title(shown), f"`{figure}`", *cells, ""))
        cells = [_shares(found, ("contrast", n, FIRST)) if found else "" for found in of_kind.values()]
        of_shown = [r for found in of_kind.values() for r in found]
        lines.append(_row("", "withheld / failed", *cells, str(alike(of_shown, ("contrast", n, FIRST)))))
    return "\n".join(lines)


def _range(values: Sequence[float]) -> str:
    defined = sorted(v for v in values if v == v)
    if not defined:
        return "none"
    low, high = (f"{v:.2f}" for v in (defined[0], defined[-1]))
    return low if low == high else f"{low} to {high}"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), _row(*("---" for _ in cells))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
