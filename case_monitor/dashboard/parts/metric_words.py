"""Names of metrics and rules, as sentences have them."""

import re

from case_monitor.domain.methods import method_title
from case_monitor.domain.policy import vs_baseline

_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "recall": "recall",
    "skill": "gain over always answering the most frequent class",
    "explained": "share of the drawn images that are classified correctly",
    "finite_logits": "share of images with finite logits",
    "finite_passes": "share of explained images with finite passes",
    "same_answers": "share of images with the same answer when shown again",
    "agreement_median": "median agreement",
    "agreement_mean": "mean agreement",
    "agreement_degenerate_rate": "share of images without a usable map",
}
_DROP = re.compile(
    r"(?P<kind>|abs_|relative_)confidence_drop_(?P<suffix>\d[^_]*(?:_blur)?)(?P<end>|_vs_random|_vs_case|_below_case)"
)
_KINDS = {"": "confidence drop", "abs_": "absolute confidence drop", "relative_": "relative confidence drop"}
_ENDS = {
    "": "",
    "_vs_random": " beyond that of random pixels",
    "_vs_case": " beyond that of CASE",
    "_below_case": " beyond that of CASE",
}
_OF_BASELINE = vs_baseline("")


def area_words(suffix: str) -> str:
    """Which pixels are taken away, from how metrics name it.

    >>> area_words("50"), area_words("5_blur")
    ('top 50% of the pixels', 'top 5% of the pixels, blurred')
    """
    percent, _, fill = suffix.partition("_")
    return f"top {percent}% of the pixels" + (", blurred" if fill else "")


def metric_words(metric: str, baseline: int | None = None) -> str:
    """A metric for people; one that is unknown by its own name.

    >>> metric_words("confidence_drop_5_vs_random")
    'confidence drop without the top 5% of the pixels, beyond that of random pixels'
    >>> metric_words("contrast_jaccard", 3)
    "overlap of the contrast sets with version 3's"
    """
    other = "the baseline's" if baseline is None else f"version {baseline}'s"
    if metric == "baseline_agreement":
        return f"agreement of the maps with {other}"
    if metric == "contrast_jaccard":
        return f"overlap of the contrast sets with {other}"
    drop = _DROP.fullmatch(metric)
    if drop:
        end = f",{_ENDS[drop['end']]}" if drop["end"] else ""
        return f"{_KINDS[drop['kind']]} without the {area_words(drop['suffix'])}{end}"
    return _WORDS.get(metric, metric.replace("_", " "))


def rule_words(
    metric: str,
    limit: float | None,
    *,
    greater_is_better: bool,
    method: str | None = None,
    per_class: bool = False,
    baseline: int | None = None,
) -> str:
    """What a rule asks for.

    >>> rule_words("agreement_median", 0.5, greater_is_better=False, method="case")
    'CASE: median agreement below 0.5'
    >>> rule_words("accuracy_vs_baseline", -0.03, greater_is_better=True, baseline=2)
    "Accuracy at most 0.03 below version 2's"
    """
    subject = f"{method_title(method)}: " if method else ""
    each = " of every class" if per_class else ""
    if not metric.endswith(_OF_BASELINE):
        side = "above" if greater_is_better else "below"
        asked = "an unknown limit" if limit is None else f"{limit:g}"
        sentence = f"{subject}{metric_words(metric, baseline)}{each} {side} {asked}"
    else:
        side = "below" if greater_is_better else "above"
        margin = "an unknown limit" if limit is None else f"{abs(limit):g}"
        other = "the baseline's" if baseline is None else f"version {baseline}'s"
        what = metric_words(metric.removesuffix(_OF_BASELINE), baseline)
        sentence = f"{subject}{what}{each} at most {margin} {side} {other}"
    return sentence[:1].upper() + sentence[1:]
