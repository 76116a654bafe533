"""Whether maps know which class they explain and mark what matters: the figures in the margin of logits."""

from collections.abc import Iterable
from dataclasses import dataclass

from case_monitor.domain.arrays import defined
from case_monitor.domain.methods import method_title
from case_monitor.domain.summary import MetricSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastRow:
    """A figure; `d_z` is the effect size of its margins, `without` why how many images have none, in words."""

    maps: str
    question: str
    value: float | None
    is_share: bool
    ci_low: float | None
    ci_high: float | None
    d_z: float | None
    n: int
    without: str


_KNOW = "know which class they explain"
_OF_NO_METHOD = {
    "pair_contrast": "One class against the other",
    "occlusion_contrast": "Occlusion, one class against the other (a control)",
}
_QUESTIONS = {
    "pair_contrast": (_KNOW, True),
    "occlusion_contrast": (_KNOW, True),
    "shown_contrast": (_KNOW, True),
    "fidelity_dz": ("mark what matters to the model, in SDs", False),
}


def contrast_table(figures: Iterable[MetricSummary], gate_method: str) -> tuple[ContrastRow, ...]:
    """The figures that were measured; none of evaluations that were stored without them."""
    of = {"", gate_method}  # an older package stored fidelity of every method
    found = {figure.metric: figure for figure in figures if figure.metric in _QUESTIONS and figure.method in of}
    return tuple(_row(found[metric], *asked) for metric, asked in _QUESTIONS.items() if metric in found)


def _row(figure: MetricSummary, question: str, is_share: bool) -> ContrastRow:
    return ContrastRow(
        maps=_OF_NO_METHOD.get(figure.metric) or f"{method_title(figure.method)}, of centred logits",
        question=question,
        value=defined(figure.value),
        is_share=is_share,
        ci_low=defined(figure.ci_low),
        ci_high=defined(figure.ci_high),
        d_z=defined(figure.effect_size) if is_share else defined(figure.value),
        n=figure.n,
        without=f"{figure.n_undefined}: {figure.undefined_because}" if figure.n_undefined else "0",
    )
