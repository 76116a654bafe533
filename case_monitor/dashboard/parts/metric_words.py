"""Names of metrics and rules, as sentences have them."""

from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import named, row_of
from case_monitor.domain.policy import vs_baseline

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
    found = named(metric)
    if found is None:
        return metric.replace("_", " ")
    return filled_in(found.metric.words, found.suffix, baseline)


def filled_in(text: str, suffix: str, baseline: int | None = None) -> str:
    """A text of the catalogue, with the pixels that a suffix stands for and whoever is compared with."""
    return text.format(area=area_words(suffix), baseline=_baselines(baseline))


def direction(metric: str) -> str:
    """Which values of a metric of the catalogue are better.

    >>> direction("agreement_median")
    'lower is better'
    """
    return row_of(metric).direction


def _baselines(version: int | None) -> str:
    return "the baseline's" if version is None else f"version {version}'s"


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
        what = metric_words(metric.removesuffix(_OF_BASELINE), baseline)
        sentence = f"{subject}{what}{each} at most {margin} {side} {_baselines(baseline)}"
    return sentence[:1].upper() + sentence[1:]
