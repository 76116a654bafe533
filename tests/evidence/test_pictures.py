import io
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image
from scipy import stats

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.methods import METHODS as CATALOGUE
from case_monitor.domain.policy import Policy
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.top_pixels import top_pixels
from case_monitor.evidence import pictures as figures
from case_monitor.evidence.pictures import agreement, confusion, drop_bars, style
from case_monitor.judging.figures.of_one_version import explanation_summaries
from tests.support.factories import METHODS, a_gallery, an_evaluation

NAMES = {
    *("confusion_matrix", "contrast", "agreement_histograms", "fidelity"),
    *("gallery", "saliency_maps", "channel_activity", "model_inputs"),
}
HOSTILE = (
    "a$b",
    r"$\frac{1}{",
    "<script>alert(1)</script>",
    "x" * 200,
    "x" * 199 + "y",
    "猫と犬",
    "🦄",
    "new\nline\ttab",
    "",
    "\u202eabc\ud800",
    "back\\slash",
    "a_{b}^c%#&~",
)
EMPTY_GALLERY = Gallery(
    sample_ids=(),
    images=np.zeros((0, 32, 32, 3), np.uint8),
    target=np.zeros(0, np.int64),
    top2=np.zeros(0, np.int64),
    maps={},
)


def texts(fig: Figure) -> list[str]:
    fig.canvas.draw()
    return [text.get_text() for text in fig.findobj(Text) if text.get_visible() and text.get_text()]


def all_text(fig: Figure) -> str:
    return "\n".join(texts(fig))


def with_summary(evaluation: Evaluation, metric: str, **changes: float) -> Evaluation:
    """The gate method's overall summary of `metric`, changed."""
    rows = [
        replace(s, **changes) if (s.metric, s.method, s.class_idx) == (metric, "case", None) else s
        for s in evaluation.summaries
    ]
    return replace(evaluation, summaries=tuple(rows))


def with_counts(evaluation: Evaluation, counts: np.ndarray) -> Evaluation:
    return replace(evaluation, confmat=replace(evaluation.confmat, counts=counts))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return an_evaluation()


class TestSaveFigures:
    def test_writes_pictures_that_decode(self, evaluation: Evaluation, tmp_path: Path) -> None:
        paths = figures.save_figures(evaluation, a_gallery(evaluation, rows=1), tmp_path / "new" / "folder")
        assert {path.stem for path in paths} == NAMES
        for path in paths:
            image = Image.open(path)
            image.load()
            assert image.format == "PNG"
            assert min(image.size) > 300
            assert image.convert("RGB").getpixel((2, image.height - 3)) == (255, 255, 255)

    def test_two_threads_draw_what_one_draws(self, evaluation: Evaluation, tmp_path: Path) -> None:
        gallery = a_gallery(evaluation, rows=1)
        alone = figures.save_figures(evaluation, gallery, tmp_path / "alone")
        with ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(lambda i: figures.save_figures(evaluation, gallery, tmp_path / str(i)), range(2)))
        for run in runs:
            for path, expected in zip(run, alone, strict=True):
                assert path.read_bytes() == expected.read_bytes(), path.name

    def test_does_not_touch_pyplot(self) -> None:
        source = "".join(path.read_text() for path in Path(figures.__file__).parent.glob("*.py"))
        assert "import matplotlib.pyplot" not in source
        assert "rcParams" not in source

    def test_nothing_measured_is_said_and_not_an_error(self, tmp_path: Path) -> None:
        nothing = replace(an_evaluation(num_samples=0), summaries=(), class_metrics=())
        nothing = replace(nothing, scores=replace(nothing.scores, values={}))
        assert len(figures.save_figures(nothing, EMPTY_GALLERY, tmp_path)) == 8
        assert "No confusion matrix" in all_text(figures.confusion_matrix(nothing))
        assert all_text(figures.agreement_histograms(nothing)).count("not evaluated") == len(METHODS)
        assert "Nothing is known about fidelity" in all_text(figures.fidelity(nothing))
        assert "No image was explained" in all_text(figures.gallery(nothing, EMPTY_GALLERY))
        assert "No channel activity" in all_text(figures.channel_activity(nothing))
        assert "No image was explained" in all_text(figures.model_inputs(nothing, EMPTY_GALLERY))

    def test_what_the_model_sees_is_below_what_people_see(self, evaluation: Evaluation) -> None:
        gallery = a_gallery(evaluation, rows=2)
        assert gallery.inputs is not None
        figure = figures.model_inputs(evaluation, gallery)
        pictures = [image.get_array() for image in figure.findobj(AxesImage)]
        expected = [*gallery.images, *gallery.inputs.pixels]
        assert all(np.array_equal(picture, one) for picture, one in zip(pictures, expected, strict=True))
        assert "mean per channel 0.25 -1.00 3.00, SD 1.00 0.50 2.00" in all_text(figure).replace("\n", " ")

    def test_hostile_names_appear_literally(self, tmp_path: Path) -> None:
        evaluation = an_evaluation(name="mo$del\\frac{<b>$x\n", class_names=HOSTILE, num_samples=240)
        gallery = a_gallery(evaluation, rows=3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figures.save_figures(evaluation, gallery, tmp_path)
        matrix = texts(figures.confusion_matrix(evaluation))
        for name in ("a$b", r"$\frac{1}{", "new\\nline\\ttab", "\\u202eabc\\ud800", "back\\slash", "a_{b}^c%#&~", "#8"):
            assert name in matrix
        rows = all_text(figures.gallery(evaluation, gallery))
        assert "1st: a$b\n2nd: $\\frac{1}{" in rows
        assert "mo$del\\frac{<b>$x\\n version 1" in rows

    @pytest.mark.parametrize("draw", [figures.confusion_matrix, figures.agreement_histograms, figures.fidelity])
    def test_no_text_is_mathematics(self, draw, evaluation: Evaluation) -> None:
        fig = draw(evaluation)
        fig.canvas.draw()
        assert not any(text.get_parse_math() for text in fig.findobj(Text) if text.get_text())


class TestLabels:
    def test_long_names_are_cut_with_an_ellipsis(self) -> None:
        assert style.shorten("abcdef", 6) == "abcdef"
        assert style.shorten("abcdefg", 6) == "abcde…"
        assert style.shorten("猫" * 10, 6) == "猫猫…"

    def test_a_cut_never_hides_that_text_is_missing(self) -> None:
        # Beyond four times the width the name is not even looked at.
        assert style.shorten("a" * 23 + " " * 500, 24).endswith("…")

    def test_names_that_look_alike_get_their_index(self) -> None:
        labels = style.class_labels(("x" * 200, "x" * 199 + "y", "cat", " ", "cat"), 10)
        assert labels == ("xxxxxx… #0", "xxxxxx… #1", "cat #2", "#3", "cat #4")

    def test_a_thousand_labels_are_unique(self) -> None:
        assert len(set(style.class_labels(("same",) * 1000))) == 1000


class TestConfusionMatrix:
    def test_cells_hold_the_counts(self, evaluation: Evaluation) -> None:
        counts = evaluation.confmat.counts
        ax = figures.confusion_matrix(evaluation).axes[0]
        written = {tuple(map(round, text.get_position())): text.get_text() for text in ax.texts}
        for u, v in np.ndindex(counts.shape):
            assert written.get((v, u), "0") == str(counts[u, v])

    def test_colour_is_the_share_of_the_row(self, evaluation: Evaluation) -> None:
        counts = evaluation.confmat.counts
        right, wrong = (image.get_array() for image in figures.confusion_matrix(evaluation).axes[0].images)
        shares = counts / counts.sum(axis=1, keepdims=True)
        assert np.allclose(np.diag(right), np.diag(shares))
        assert right.mask.sum() == len(counts) ** 2 - len(counts)
        positive = (shares > 0) & ~np.eye(len(counts), dtype=bool)
        assert np.allclose(wrong[positive], shares[positive])

    def test_zero_is_white_and_missing_is_clear(self, evaluation: Evaluation) -> None:
        counts = np.array([[5, 0, 2], [0, 0, 0], [0, 1, 9]])
        fig = figures.confusion_matrix(with_counts(an_evaluation(class_names=("a", "b", "c")), counts))
        _, wrong = fig.axes[0].images
        rgba = wrong.to_rgba(wrong.get_array())
        assert rgba[0, 1].tolist() == [1, 1, 1, 1]
        assert rgba[1, :, 3].tolist() == [0, 0, 0]
        assert "no image of the class (1 of 3)" in all_text(fig)

    def test_the_finding_names_the_worst_confusion(self) -> None:
        counts = np.array([[5, 0, 4], [0, 9, 0], [0, 1, 8]])
        fig = figures.confusion_matrix(with_counts(an_evaluation(class_names=("a", "b", "c")), counts))
        assert "81% of 27 images are classified correctly; most often “a” is taken for “c” (4 of 9)" in all_text(fig)

    def test_confusions_are_ranked_and_leave_the_diagonal_out(self) -> None:
        counts = np.array([[5, 2, 4], [0, 9, 0], [0, 7, 8]])
        assert confusion.confusions(counts) == [(2, 1, 7), (0, 2, 4), (0, 1, 2)]

    def test_a_perfect_model(self) -> None:
        fig = figures.confusion_matrix(with_counts(an_evaluation(class_names=("a", "b")), np.eye(2, dtype=int) * 3))
        assert "no class is confused" in all_text(fig)

    def test_one_class(self) -> None:
        fig = figures.confusion_matrix(with_counts(an_evaluation(class_names=("a",)), np.array([[3]])))
        assert "100% of 3 images" in all_text(fig)

    @pytest.mark.parametrize(("num_classes", "cells"), [(100, 100), (1000, 200)])
    def test_many_classes_have_thin_ticks_and_no_counts(self, num_classes: int, cells: int) -> None:
        evaluation = an_evaluation(class_names=tuple(f"class {i}" for i in range(num_classes)), num_samples=3000)
        ax = figures.confusion_matrix(evaluation).axes[0]
        assert not ax.texts
        assert len(ax.get_xticks()) <= confusion.MAX_LABELLED
        assert ax.images[-1].get_array().shape == (cells, cells)
        label = ax.get_yticklabels()[3].get_text()
        assert label == f"class {3 * num_classes // 25}"

    def test_pooling_is_the_mean_over_rows_of_the_sum_over_columns(self) -> None:
        shares = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.5, 0.5], [np.nan] * 4, [1.0, 0.0, 0.0, 0.0]])
        assert np.allclose(confusion.pool(shares, 2), [[0.15, 0.85], [1.0, 0.0]])
        assert np.isnan(confusion.pool(np.full((2, 2), np.nan), 2)).all()

    def test_pooling_keeps_the_last_incomplete_group(self) -> None:
        assert np.allclose(confusion.pool(np.eye(3), 2), [[1, 0], [0, 1]])


class TestContrast:
    @pytest.fixture
    def measured(self, evaluation: Evaluation) -> Evaluation:
        rows = explanation_summaries(evaluation.scores, evaluation.provenance.protocol, evaluation.policy)
        return replace(evaluation, summaries=rows)

    def test_areas_are_the_images_in_order(self, measured: Evaluation) -> None:
        fig = figures.contrast(measured)
        for ax, (method, name) in zip(fig.axes, (("", "pair_margin"), ("case", "shown_margin")), strict=True):
            c = measured.scores.values[method, name]
            c = np.sort(c[np.isfinite(c)])[::-1]
            right, wrong = (of.get_paths()[0].vertices[:, 1] for of in ax.collections)
            assert right.max() == pytest.approx(c[0])
            assert right.min() == 0
            assert wrong.min() == pytest.approx(min(c[-1], 0))
            assert wrong.max() == 0
            said = f"right {(c > 0).sum()}, wrong {(c < 0).sum()}\n2 without"
            assert said in [text.get_text() for text in ax.texts]
        share = measured.summary("pair_contrast", "")
        assert share
        assert f"know their class in {100 * share.value:.0f}% of the images (95% CI" in all_text(fig)
        assert "CASE, centred" in all_text(fig)

    def test_of_scores_that_were_stored_without(self, evaluation: Evaluation) -> None:
        values = {key: v for key, v in evaluation.scores.values.items() if "margin" not in key[1]}
        changed = replace(evaluation, scores=replace(evaluation.scores, values=values))
        assert "No contrast to show" in all_text(figures.contrast(changed))

    def test_without_any_image_that_has_both_sides(self, measured: Evaluation) -> None:
        n = len(measured.scores.sample_ids)
        none = {key: np.full(n, np.nan) for key in (("", "pair_margin"), ("case", "shown_margin"))}
        changed = replace(measured, scores=replace(measured.scores, values=dict(measured.scores.values) | none))
        assert "No contrast to show" in all_text(figures.contrast(changed))

    def test_ties_alone_fill_nothing(self, measured: Evaluation) -> None:
        values = dict(measured.scores.values) | {("", "pair_margin"): np.zeros(len(measured.scores.sample_ids))}
        ax = figures.contrast(replace(measured, scores=replace(measured.scores, values=values))).axes[0]
        assert "right 0, wrong 0" in ax.texts[-1].get_text()
        assert ax.get_ylim() == (-1.0, 1.0)


class TestAgreement:
    def test_bars_are_relative_frequencies(self, evaluation: Evaluation) -> None:
        fig = figures.agreement_histograms(evaluation)
        assert len(fig.axes) == len(METHODS)
        for ax, method in zip(fig.axes, METHODS, strict=True):
            heights = [bar.get_height() for bar in ax.containers[0]]
            values = evaluation.scores.values[method, "agreement"]
            defined = values[np.isfinite(values)]
            assert len(heights) == agreement.NUM_BINS
            assert sum(heights) == pytest.approx(1)
            assert heights[4] == pytest.approx(((defined >= 0.2) & (defined < 0.25)).mean())
            assert to_hex(ax.containers[0][0].get_facecolor()).upper() == CATALOGUE[method].ink.upper()

    def test_panels_count_what_is_degenerate(self, evaluation: Evaluation) -> None:
        values = evaluation.scores.values["gradcam++", "agreement"]
        ax = figures.agreement_histograms(evaluation).axes[2]
        n, missing = np.isfinite(values).sum(), np.isnan(values).sum()
        assert missing == 2
        expected = f"n = {n}\ndegenerate {missing}\nmedian {100 * np.nanmedian(values):.0f}%"
        assert [text.get_text() for text in ax.texts] == [expected]

    def test_lines_at_the_limit_and_at_chance(self, evaluation: Evaluation) -> None:
        lines = {line.get_gid(): line for line in figures.agreement_histograms(evaluation).axes[0].lines}
        assert lines["limit"].get_xdata()[0] == 0.5
        assert lines["limit"].get_linestyle() == "--"
        assert lines["chance"].get_xdata()[0] == evaluation.scores.values["random", "agreement"].mean()

    @pytest.mark.parametrize(
        ("low", "high", "says"),
        [
            (0.2, 0.3, "CASE maps differ for the first"),
            (0.6, 0.8, "CASE maps look alike"),
            (0.4, 0.6, "Undecided whether CASE"),
            (float("nan"), float("nan"), "no confidence interval"),
        ],
    )
    def test_the_title_says_the_finding(self, evaluation: Evaluation, low: float, high: float, says: str) -> None:
        changed = with_summary(evaluation, "agreement_median", ci_low=low, ci_high=high)
        assert says in all_text(figures.agreement_histograms(changed))

    def test_all_maps_degenerate(self, evaluation: Evaluation) -> None:
        n = len(evaluation.scores.sample_ids)
        values = dict(evaluation.scores.values) | {("case", "agreement"): np.full(n, np.nan)}
        changed = replace(evaluation, scores=replace(evaluation.scores, values=values))
        changed = with_summary(changed, "agreement_median", value=float("nan"))
        text = all_text(figures.agreement_histograms(changed))
        assert f"all {n} maps degenerate" in text
        assert "no agreement was measured" in text

    def test_the_gate_method_is_marked(self, evaluation: Evaluation) -> None:
        changed = replace(evaluation, policy=Policy(gate_method="layercam"))
        titles = [ax.get_title(loc="left") for ax in figures.agreement_histograms(changed).axes]
        assert titles == ["CASE", "Grad-CAM", "Grad-CAM++", "Score-CAM", "Ablation-CAM", "LayerCAM (gate)"]


class TestFidelity:
    def test_bars_are_the_summaries_beside_the_control(self, evaluation: Evaluation) -> None:
        fig = figures.fidelity(evaluation)
        assert [ax.get_title(loc="left")[:7] for ax in fig.axes] == ["top 50%", "top 5% "]
        for ax, area in zip(fig.axes, ("50", "5"), strict=True):
            marked, control = (c for c in ax.containers if len(c) == len(METHODS))
            for i, method in enumerate(METHODS):
                assert marked[i].get_height() == evaluation.summary(f"confidence_drop_{area}", method).value
                expected = evaluation.scores.values[method, f"random_drop_{area}"].mean()
                assert control[i].get_height() == pytest.approx(expected)

    def test_whiskers_are_the_intervals(self, evaluation: Evaluation) -> None:
        ax = figures.fidelity(evaluation).axes[0]
        marked, control = (collection.get_segments() for collection in ax.collections)
        summary = evaluation.summary("confidence_drop_50", "case")
        assert marked[0][:, 1] == pytest.approx([summary.ci_low, summary.ci_high])
        values = evaluation.scores.values["case", "random_drop_50"]
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert control[0][:, 1] == pytest.approx([expected.low, expected.high])

    def test_control_of_few_values(self) -> None:
        assert drop_bars.control_interval(np.array([0.5, np.nan]), 0.95)[0] == 0.5
        assert np.isnan(drop_bars.control_interval(np.array([0.5]), 0.95)[1:]).all()
        assert np.isnan(drop_bars.control_interval(np.array([np.nan]), 0.95)).all()

    def test_other_areas_and_fills_have_their_panels(self, evaluation: Evaluation) -> None:
        rows = [
            MetricSummary(metric=name, method="case", value=0.1, n=5)
            for name in ("confidence_drop_12.5", "confidence_drop_5_blur", "relative_confidence_drop_7")
        ]
        changed = replace(evaluation, summaries=(*evaluation.summaries, *rows))
        assert drop_bars.drop_tests(changed) == ("50", "12.5", "5", "5_blur")
        titles = [ax.get_title(loc="left") for ax in figures.fidelity(changed).axes]
        assert titles[-1] == "top 5% of the pixels blurred"

    @pytest.mark.parametrize(
        ("low", "high", "says"),
        [(0.1, 0.3, "marks matter to the model"), (-0.3, -0.1, "matter less"), (-0.1, 0.1, "Undecided whether")],
    )
    def test_the_title_says_the_finding(self, evaluation: Evaluation, low: float, high: float, says: str) -> None:
        changed = replace(evaluation, policy=Policy(thresholds=()))
        changed = with_summary(changed, "confidence_drop_50_vs_random", ci_low=low, ci_high=high)
        text = all_text(figures.fidelity(changed))
        assert says in text
        assert "replacing 50% costs" in text

    def test_a_method_without_data_says_so(self, evaluation: Evaluation) -> None:
        changed = with_summary(evaluation, "confidence_drop_50", value=float("nan"), ci_low=float("nan"))
        ax = figures.fidelity(changed).axes[0]
        assert [text.get_text() for text in ax.texts] == ["no data"]


class TestGallery:
    def test_only_the_top_pixels_are_in_colour(self, evaluation: Evaluation) -> None:
        gallery = a_gallery(evaluation, rows=1)
        panels = [ax for ax in figures.gallery(evaluation, gallery).axes if ax.images]
        assert len(panels) == 1 + 2 * len(METHODS) - 1  # LayerCAM's last map is degenerate
        original, shown = (panel.images[0].get_array() for panel in panels[:2])
        assert np.array_equal(original, gallery.images[0])
        highest = np.argsort(gallery.maps["case"][0, 0], axis=None)[-51:]  # floor(0.05 * 32 * 32)
        inside = np.zeros(1024, bool)
        inside[highest] = True
        inside = inside.reshape(32, 32)
        assert np.array_equal(shown[inside], original[inside])
        assert (shown[~inside].max(axis=1) == shown[~inside].min(axis=1)).all()
        assert panels[0].images[0].get_interpolation() == "nearest"

    def test_sparse_maps_mark_only_positive_pixels(self) -> None:
        sparse = np.zeros((32, 32))
        sparse[3, :7] = 1, 2, 3, 4, 5, 6, 7
        assert np.array_equal(top_pixels(sparse), sparse > 0)

    @pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
    def test_degenerate_maps_are_empty_panels(self, evaluation: Evaluation, value: float) -> None:
        gallery = a_gallery(evaluation, rows=2)
        maps = {m: np.full_like(stack, value) for m, stack in gallery.maps.items()}
        for draw in (figures.gallery, figures.saliency_maps):
            assert all_text(draw(evaluation, replace(gallery, maps=maps))).count("no map") == 4 * len(METHODS)

    def test_rows_name_both_classes_and_the_sample(self, evaluation: Evaluation) -> None:
        gallery = replace(a_gallery(evaluation, rows=1), sample_ids=("folder/$1.png",))
        shown = texts(figures.gallery(evaluation, gallery))
        names = evaluation.split.class_names
        assert f"1st: {names[gallery.target[0]]}\n2nd: {names[gallery.top2[0]]}" in shown
        assert "folder/$1.png" in shown
        assert "CASE (gate)" in shown

    @pytest.mark.parametrize("draw", [figures.gallery, figures.saliency_maps])
    def test_the_worst_images_are_not_drawn(self, evaluation: Evaluation, draw: Callable[..., Figure]) -> None:
        gallery = a_gallery(evaluation, rows=4)
        shown = texts(draw(evaluation, replace(gallery, worst=3)))
        assert [name in shown for name in gallery.sample_ids] == [True, False, False, False]

    def test_a_method_without_maps_has_no_columns(self, evaluation: Evaluation) -> None:
        gallery = a_gallery(evaluation, rows=1)
        only = replace(gallery, maps={"hirescam": gallery.maps["case"]})
        fig = figures.gallery(evaluation, only)
        assert len([ax for ax in fig.axes if ax.images]) == 3
        assert "HiResCAM" in texts(fig)

    def test_heat_is_hottest_at_the_peak(self, evaluation: Evaluation) -> None:
        gallery = replace(a_gallery(evaluation, rows=1), images=np.full((1, 32, 32, 3), 40, np.uint8))
        shown = figures.saliency_maps(evaluation, gallery).axes[1].images[0].get_array()
        brightest = np.argmax(shown.sum(axis=-1, dtype=int))
        assert brightest == np.argmax(gallery.maps["case"][0, 0])

    def test_large_images_are_smoothed(self, evaluation: Evaluation) -> None:
        fig = figures.gallery(evaluation, a_gallery(evaluation, side=128, rows=1))
        assert fig.axes[0].images[0].get_interpolation() == "antialiased"
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png")
        assert buffer.tell() > 10_000


class TestChannelActivity:
    def with_activity(self, values: list[float]) -> Evaluation:
        evaluation = an_evaluation(class_names=tuple(f"c{i}" for i in range(len(values))))
        rows = (replace(m, active_channels=v) for m, v in zip(evaluation.class_metrics, values, strict=True))
        return replace(evaluation, class_metrics=tuple(rows))

    def test_a_stroke_per_class(self) -> None:
        fig = figures.channel_activity(self.with_activity([3.0, 9.5, 12.0, float("nan")]))
        rug = next(c for c in fig.axes[0].collections if c.get_gid() == "rug")
        assert [segment[0][0] for segment in rug.get_segments()] == [3.0, 9.5, 12.0]
        text = all_text(fig).replace("\n", " ")
        assert "fewer than 9.5 channels" in text
        assert "left out for want of a correct image: 1 of 4 classes" in text

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ([12.0, 12.0, 12.0], "the same number for every class"),
            ([0.0, 0.0], "the same number for every class"),
            ([7.0], "one class only"),
            ([7.0, float("nan")], "one class only"),
            ([float("nan")], "No channel activity was measured"),
            ([1000.0, 1000.0 + 1e-9], "the same number for every class"),
        ],
    )
    def test_values_without_a_density(self, values: list[float], says: str) -> None:
        assert says in all_text(figures.channel_activity(self.with_activity(values)))


def test_every_method_of_the_paper_has_a_title_and_a_colour_of_its_own() -> None:
    methods = (*METHODS, "hirescam")
    assert [CATALOGUE[m].title for m in methods] == [
        *("CASE", "Grad-CAM", "Grad-CAM++", "Score-CAM", "Ablation-CAM", "LayerCAM", "HiResCAM")
    ]
    assert len({method.ink for method in CATALOGUE.values()}) == len(CATALOGUE)
    assert figures.method_title("my own") == "my own"
