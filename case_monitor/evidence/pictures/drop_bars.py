"""How much confidence the model loses without the pixels that a map marks, against random pixels."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy import stats

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.metrics import METRICS, named
from case_monitor.evidence.pictures import style

_PALE = "#E4E4E4"
_DROP = METRICS["confidence_drop_{}"]


def fidelity(evaluation: Evaluation) -> Figure:
    """One panel per replaced area and fill: mean confidence drop per method beside its random control."""
    tests = drop_tests(evaluation)
    if not any(_measured(evaluation, test) for test in tests):
        reason = "No confidence drop was measured: there are no explained images."
        return style.notice(evaluation, "Nothing is known about fidelity", reason)
    methods = style.saliency_methods(evaluation)
    columns = min(2, len(tests))
    rows = math.ceil(len(tests) / columns)
    width = max(7.0, columns * max(3.5, 0.95 * len(methods)))
    fig = style.new_figure(width, 3.3 * rows + 1.2)
    style.header(fig, _finding(evaluation, _gate_test(evaluation, tests)), _detail(evaluation))
    axes = fig.subplots(rows, columns, sharey=True, squeeze=False)
    for ax, test in zip(axes.flat, tests, strict=False):
        _panel(ax, evaluation, test, methods)
    for ax in axes.flat[len(tests) :]:
        ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel("mean drop of confidence", fontsize=9)
    _legend(axes.flat[0])
    return style.literal(fig)


def _measured(evaluation: Evaluation, test: str) -> bool:
    methods = style.saliency_methods(evaluation)
    values = [f(evaluation, method, test)[0] for method in methods for f in (_drop, _control)]
    return any(map(math.isfinite, values))


def drop_tests(evaluation: Evaluation) -> tuple[str, ...]:
    """The suffixes of the fidelity metrics that are there, such as `50` or `5_blur`: largest area first."""
    names = {s.metric for s in evaluation.summaries} | {metric for _, metric in evaluation.scores.values}
    found = map(named, names)
    suffixes = {known.suffix for known in found if known is not None and known.metric is _DROP}
    return tuple(sorted(suffixes, key=lambda suffix: (suffix.endswith("_blur"), -float(suffix.removesuffix("_blur")))))


def control_interval(values: FloatArray, level: float) -> tuple[float, float, float]:
    """(mean, low, high) of the defined values by Student's t; NaN where there are too few."""
    defined = values[np.isfinite(values)]
    if not defined.size:
        return math.nan, math.nan, math.nan
    mean = float(defined.mean())
    if defined.size < 2:
        return mean, math.nan, math.nan
    error = float(defined.std(ddof=1)) / math.sqrt(defined.size)
    half = error * float(stats.t.ppf((1 + level) / 2, defined.size - 1))
    return mean, mean - half, mean + half


def _finding(evaluation: Evaluation, test: str) -> str:
    method = evaluation.policy.gate_method
    title = style.method_title(method)
    difference = evaluation.summary(f"confidence_drop_{test}_vs_random", method)
    drop, _, _ = _drop(evaluation, method, test)
    chance, _, _ = _control(evaluation, method, test)
    if difference is None or not all(map(math.isfinite, (difference.ci_low, difference.ci_high))):
        return f"{title}: too little was measured to say whether the marked pixels matter to the model"
    if difference.ci_low > 0:
        says = f"The pixels that {title} marks matter to the model"
    elif difference.ci_high < 0:
        says = f"The pixels that {title} marks matter less to the model than random ones"
    else:
        says = f"Undecided whether the pixels that {title} marks matter more to the model than random ones"
    if not (math.isfinite(drop) and math.isfinite(chance)):
        return says
    area = style.percent(float(test.removesuffix("_blur")) / 100)
    return f"{says}: replacing {area} costs {drop:.2f} of confidence, at random {chance:.2f}"


def _detail(evaluation: Evaluation) -> str:
    level = f"{100 * evaluation.policy.confidence_level:g}%"
    images = f"{len(evaluation.scores.sample_ids)} explained images"
    return f"{style.subject(evaluation)} · {images} · whiskers: {level} confidence interval; {_DROP.direction}"


def _gate_test(evaluation: Evaluation, tests: tuple[str, ...]) -> str:
    """The test that the policy judges; the first where it judges none."""
    judged = {threshold.metric for threshold in evaluation.policy.thresholds}
    return next((test for test in tests if f"confidence_drop_{test}_vs_random" in judged), tests[0])


def _drop(evaluation: Evaluation, method: str, test: str) -> tuple[float, float, float]:
    summary = evaluation.summary(f"confidence_drop_{test}", method)
    return (summary.value, summary.ci_low, summary.ci_high) if summary else (math.nan, math.nan, math.nan)


def _control(evaluation: Evaluation, method: str, test: str) -> tuple[float, float, float]:
    values = evaluation.scores.values.get((method, f"random_drop_{test}"), np.empty(0))
    return control_interval(values, evaluation.policy.confidence_level)


def _panel(ax: Axes, evaluation: Evaluation, test: str, methods: tuple[str, ...]) -> None:
    style.tidy(ax)
    fill = "blurred" if test.endswith("_blur") else "replaced by the mean colour"
    area = style.percent(float(test.removesuffix("_blur")) / 100)
    ax.set_title(f"top {area} of the pixels {fill}", fontsize=10, loc="left", color=style.INK)
    drops = [_drop(evaluation, method, test) for method in methods]
    controls = [_control(evaluation, method, test) for method in methods]
    places = np.arange(len(methods), dtype=np.float64)
    bars = ax.bar(places - 0.2, [d[0] for d in drops], 0.38, label="marked pixels")
    for bar, method in zip(bars, methods, strict=True):
        bar.set_facecolor(style.method_colour(method))
        if method == evaluation.policy.gate_method:
            bar.set_edgecolor(style.INK)
            bar.set_linewidth(1.8)
    means = [c[0] for c in controls]
    ax.bar(places + 0.2, means, 0.38, label="random pixels", fc=_PALE, ec=style.CONTROL_COLOUR, hatch="////")
    _whiskers(ax, places - 0.2, drops)
    _whiskers(ax, places + 0.2, controls)
    _say_missing(ax, places - 0.2, drops)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xlim(-0.6, len(methods) - 0.4)
    ax.margins(y=0.12)
    ax.tick_params(axis="y", labelleft=True)
    _method_ticks(ax, methods, evaluation.policy.gate_method)


def _method_ticks(ax: Axes, methods: tuple[str, ...], gate: str) -> None:
    names = [style.method_title(m) + ("\n(gate)" if m == gate else "") for m in methods]
    ax.set_xticks(range(len(methods)), names, parse_math=False)
    for label, method in zip(ax.get_xticklabels(), methods, strict=True):
        label.set_color(style.INK)
        label.set(rotation=30, ha="right", rotation_mode="anchor")
        label.set_fontweight("bold" if method == gate else "normal")


def _whiskers(ax: Axes, places: FloatArray, figures: list[tuple[float, float, float]]) -> None:
    rows = [(x, *f) for x, f in zip(places, figures, strict=True) if all(map(math.isfinite, f))]
    if not rows:
        return
    x, value, low, high = np.asarray(rows).T
    # A percentile interval need not hold its mean; a whisker has no negative length.
    lengths = np.clip([value - low, high - value], 0, None)
    ax.errorbar(x, value, yerr=lengths, fmt="none", ecolor=style.INK, elinewidth=1, capsize=2.5)


def _say_missing(ax: Axes, places: FloatArray, figures: list[tuple[float, float, float]]) -> None:
    for x, (value, _, _) in zip(places, figures, strict=True):
        if not math.isfinite(value):
            transform = ax.get_xaxis_transform()
            where = {"transform": transform, "rotation": 90, "ha": "center"}
            ax.text(x, 0.04, "no data", where, fontsize=7, color=style.MUTED)


def _legend(ax: Axes) -> None:
    marked = Patch(facecolor=style.MUTED, label="pixels that the map marks")
    random = Patch(facecolor=_PALE, edgecolor=style.CONTROL_COLOUR, hatch="////", label="random pixels")
    ax.figure.legend(handles=[marked, random], loc="outside lower center", ncols=2, frameon=False, fontsize=8)
