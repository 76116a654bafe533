"""What each chart of a model's page finds, in a sentence about the newest point."""

from collections.abc import Callable

from case_monitor.dashboard.pages.model.record import By, Model, Point, Series
from case_monitor.dashboard.parts.metric_words import area_words, direction
from case_monitor.dashboard.shell.rendering import number, percent
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import row_of

UNDEFINED = "undefined"


def accuracy(model: Model) -> str:
    """How many images are right, and how that changed."""
    series, here = model.one("accuracy", ""), where(model, model.points[-1])
    if series is None or series.value[-1] is None:
        return f"The accuracy of {here} is {UNDEFINED}."
    return f"Accuracy of {here}: {percent(series.value[-1])}{_interval(series)}{_change(model, series)}."


def knows_its_class(model: Model) -> str:
    """Whether maps of this model know which class they explain."""
    series, here = model.one("pair_contrast", ""), where(model, model.points[-1])
    if series is None or series.value[-1] is None:
        return f"Whether the maps of {here} know which class they explain was not measured."
    what = (
        f"In {percent(series.value[-1])} of the images of {here}{_interval(series)}, hiding what the map marks for the "
        "predicted class hurts that class more than hiding what it marks for the runner-up; 50% is chance, and "
        f"{direction('pair_contrast')}."
    )
    return what + _beyond(model, series, "pair_contrast")


def agreement(model: Model) -> str:
    """Whether the gate's maps tell classes apart."""
    series, here = model.one("agreement_median", model.gate_method), where(model, model.points[-1])
    title = method_title(model.gate_method)
    if series is None or series.value[-1] is None:
        return f"The median agreement of {title} is {UNDEFINED} for {here}."
    what = (
        f"{title}: in the median image of {here}, the maps for the first and the second class share "
        f"{percent(series.value[-1])} of their top pixels{_interval(series)}; {direction('agreement_median')}."
    )
    return what + _beyond(model, series, "agreement_median")


def drop(model: Model) -> str:
    """Whether the gate's maps matter to the model."""
    series = model.one(f"confidence_drop_{model.area}", model.gate_method)
    title, here = method_title(model.gate_method), where(model, model.points[-1])
    if series is None or series.value[-1] is None:
        return f"The confidence drop of {title} is {UNDEFINED} for {here}."
    return (
        f"{title}: replacing the {area_words(model.area or '')} of {here} lowers the confidence in the first class by "
        f"{number(series.value[-1])} on average{_interval(series, plain=True)}; a larger drop is better."
    )


def degenerate(model: Model) -> str:
    """Whether there are maps at all."""
    series, here = model.one("agreement_degenerate_rate", model.gate_method), where(model, model.points[-1])
    title = method_title(model.gate_method)
    if series is None or series.value[-1] is None:
        return f"For {here} it is not known how many maps of {title} are empty."
    what = f"{title} has an empty or constant map for {percent(series.value[-1])} of the images of {here}"
    metric = "agreement_degenerate_rate"
    return f"{what}{_interval(series)}; {direction(metric)}." + _beyond(model, series, metric)


def drift(model: Model) -> str:
    """Whether explanations changed from the baseline's."""
    series, here = model.one("baseline_agreement", model.gate_method), where(model, model.points[-1])
    title = method_title(model.gate_method)
    if series is None or series.value[-1] is None:
        return f"For {here} the {title} maps were not compared with those of another version."
    return (
        f"{title} maps of {here} share {percent(series.value[-1])} of their top pixels with those of the version that "
        f"it was compared with, for the same image and class{_interval(series)}; 100% is no drift."
    )


def contrast(model: Model) -> str:
    """Whether classes are contrasted with the same others."""
    series, here = model.one("contrast_jaccard", ""), where(model, model.points[-1])
    if series is None or series.value[-1] is None:
        return f"The contrast sets of {here} were not compared with those of another version."
    return (
        f"The contrast sets of {here} and of the version it was compared with share {percent(series.value[-1])} of the "
        f"classes that are in either, as a mean over the classes{_interval(series)}; 100% is no change."
    )


def where(model: Model, point: Point) -> str:
    """Which evaluation is meant."""
    if model.chosen.by is By.VERSION:
        return f"version {point.version}"
    return f"version {point.version} on {point.at:%Y-%m-%d}"


def _interval(series: Series, *, plain: bool = False) -> str:
    low, high = series.ci_low[-1], series.ci_high[-1]
    if low is None or high is None:
        return " (no interval)"
    write: Callable[[float], str] = number if plain else percent
    return f" (interval {write(low)} to {write(high)})"


def _change(model: Model, series: Series) -> str:
    """From the point before."""
    if len(series.value) < 2 or series.value[-1] is None or series.value[-2] is None:
        return ""
    points = 100 * (series.value[-1] - series.value[-2])
    before = where(model, model.points[-2])
    if abs(points) < 0.05:
        return f", as much as {before}"
    return f", {abs(points):.1f} points {'more' if points > 0 else 'less'} than {before}"


def _beyond(model: Model, series: Series, metric: str) -> str:
    """Of rules on shares: how many points do not clear the limit."""
    limit = model.limits.get(metric)
    known = [value for value in series.value if value is not None]
    if limit is None or not known:
        return ""
    above = not row_of(metric).greater_is_better
    beyond = sum(value >= limit if above else value <= limit for value in known)
    of = "evaluations" if model.chosen.by is By.TIME else "versions"
    side = f"at or {'above' if above else 'below'} the limit, {limit:.0%}"
    return f" {beyond} of {len(known)} {of} shown {'is' if beyond == 1 else 'are'} {side}."
