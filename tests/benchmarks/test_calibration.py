"""The calibration by hand: how kinds are made, what is kept of them, and which shares of verdicts come out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from benchmarks.calibration import __main__ as calibration
from benchmarks.calibration import tables, versions
from benchmarks.calibration.drawn import drawn
from benchmarks.calibration.images import DIGITS, GLYPHS, Labelled
from benchmarks.calibration.kinds import DEAD, KINDS, MERGED
from benchmarks.calibration.measure import measure
from benchmarks.calibration.measurement import Measurement
from benchmarks.calibration.networks import untrained
from benchmarks.calibration.results import Share, percent
from benchmarks.calibration.tests_and_intervals import table_of_margins
from benchmarks.calibration.verdicts import BESIDE, FIRST, Tally, tally, verdicts
from benchmarks.calibration.versions import Kept, Version
from case_monitor.domain.scores import PAIR_MARGIN, POSITION
from case_monitor.judging.statistics.intervals import wilson_interval

N, CLASSES = 200, 4


def healthy(**values: np.ndarray) -> Measurement:
    """All images are right, all maps know their class, and no two look at the same place."""
    target = np.arange(N) % CLASSES
    logits = (4.0 * (np.arange(CLASSES) == target[:, None])).astype(np.float32)
    c = np.where(np.arange(N) % 2, 1.0, 3.0)
    scores = {
        ("case", "agreement"): np.full(N, 0.1),
        ("case", "confidence_drop_5"): np.full(N, 0.5) + 0.01 * c,
        ("case", "random_drop_5"): np.full(N, 0.1),
        ("random", "agreement"): np.full(N, 0.1),
        ("case", "fidelity_margin"): c,
        ("", "pair_margin"): c,
        ("", "pair_one_sided"): np.zeros(N),
        ("case", "shown_margin"): c,
        ("case", "shown_one_sided"): np.zeros(N),
    }
    scores |= {key: values[key[1]] for key in scores if key[1] in values}
    return Measurement(
        shown="case",
        target=target,
        logits=logits,
        again=logits,
        top2=(target + 1) % CLASSES,
        confidence=np.ones(N),
        broken=np.zeros(N, dtype=np.int64),
        places=np.packbits(np.eye(N, dtype=bool), axis=1),
        values=scores,
    )


def tallied(measured: Measurement, champion: Measurement | None = None, rules: str = "contrast") -> dict[str, Tally]:
    return {of: tally(each) for of, each in verdicts(measured, champion, rules, 150, 4).items()}


@pytest.mark.parametrize("rules", ["contrast", "paper"])
def test_a_healthy_version_passes_in_every_draw(rules: str) -> None:
    for found in tallied(healthy(), healthy(), rules).values():
        assert (found.failed, found.withheld, found.warned, found.causes) == (0, 0, 0, {})


def test_a_map_that_is_right_half_of_the_time_fails_in_every_draw() -> None:
    found = tallied(healthy(pair_margin=np.where(np.arange(N) % 2, 1.0, -1.0)), healthy())
    assert (found[FIRST].failed, found[FIRST].causes) == (1, {"pair_contrast": 4})
    assert found[BESIDE].causes == {"pair_contrast": 4, "pair_contrast_vs_baseline": 4}


def test_one_that_looks_at_one_place_passes_with_a_warning() -> None:
    found = tallied(replace(healthy(), places=np.packbits(np.ones((N, 8), dtype=bool), axis=1)))[FIRST]
    assert (found.withheld, found.warned_of_position) == (0, 1)


def test_other_answers_the_second_time_fail() -> None:
    measured = healthy()
    again = measured.logits + np.float32(0.5)
    assert tallied(replace(measured, again=again))[FIRST].causes == {"logit_difference": 4}


def test_wrong_answers_are_mixed_in_until_the_accuracy_is_reached() -> None:
    worse = healthy().less_accurate(0.9)
    assert worse.accuracy == 0.9
    assert len(worse.values["", "pair_margin"]) == len(worse.places) == 180
    assert tallied(worse, healthy())[BESIDE].causes == {"accuracy_vs_baseline": 4}


def test_shares_by_hand() -> None:
    mixed = Tally(statuses=("pass", "fail", "insufficient", "pass"), warned=1, causes={})
    other = replace(mixed, statuses=("pass", "fail", "fail", "fail"))
    assert (mixed.failed, mixed.withheld, mixed.warned_of_position, mixed.alike(other)) == (0.25, 0.5, 0.25, 0.5)
    share = Share(each=(0.0, 0.5, 1.0))
    assert share.mean == 0.5
    assert share.interval == wilson_interval(1.5, 3, 0.95)
    assert [percent(x) for x in (0, 0.004, 0.256, 1, float("nan"))] == ["0%", "0.4%", "26%", "100%", ""]


def test_what_is_kept_is_what_was_measured(tmp_path: Path) -> None:
    measured = healthy()
    measured.save(tmp_path / "kept.npz")
    kept = Measurement.load(tmp_path / "kept.npz")
    assert kept.shown == "case"
    assert kept.values.keys() == measured.values.keys()
    for name in ("target", "logits", "again", "top2", "places"):
        assert_array_equal(getattr(kept, name), getattr(measured, name))


def test_some_images_of_a_pool_have_the_scores_that_they_would_have_alone() -> None:
    """Random maps and contrast sets are the pool's: what does not depend on them must be the same."""
    model = untrained("plain CNN", DIGITS, 0)
    images = DIGITS.pool()[:40]
    with torch.no_grad():
        images = Labelled(images=images.images, target=model(images.images).argmax(1))  # it is right about all
    some = torch.arange(1, 40, 3)
    chosen = drawn(measure(model, images, "auto", "case", 10), some.numpy())
    alone = measure(model, images[some], "auto", "case", 10)
    for score in (("", PAIR_MARGIN), ("", POSITION)):
        assert_allclose(chosen.scores.values[score], alone.values[score], rtol=1e-4, atol=1e-6)
    assert chosen.same_answers(0.95)[1].value < 1e-4


def test_labels_are_spoilt_as_each_kind_says() -> None:
    data = Labelled(images=torch.zeros(4000, 1, 1, 1), target=torch.arange(4000) % 10)
    learned = {name: KINDS[name].lesson for name in ("30% label noise", "two classes merged", "a dead class")}
    noisy, merged, dead = (lesson.labels(data.target, 10, 0) for lesson in learned.values() if lesson)
    assert (noisy != data.target).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert_array_equal(merged, torch.where(data.target == MERGED[1], MERGED[0], data.target))
    assert_array_equal(dead, torch.where(data.target == DEAD, -1, data.target))


def test_a_mark_gives_the_class_away_and_nothing_else_changes() -> None:
    data = GLYPHS.pool()[:60]
    everywhere, once = (GLYPHS.marked(data, mark).images for mark in ("in all classes", "in one class"))
    corners = {u: everywhere[data.target == u][:, :, :6, :6] for u in range(12)}
    assert all((corner == corner[0]).all() for corner in corners.values())
    assert len({tuple(corner[0].flatten().tolist()) for corner in corners.values()}) == 12
    assert ((once != data.images).flatten(1).any(1) == (data.target == 0)).all()
    changed = everywhere != data.images
    assert not changed[:, :, 6:].any()
    assert not changed[:, :, :, 6:].any()


def test_a_twin_has_the_same_probabilities_and_other_logits(tmp_path: Path) -> None:
    kept = Kept(folder=tmp_path, pool=30, effort=0.01)
    first, twin = (
        kept.measured(Version(kind=KINDS[name], images=DIGITS, seed=0), "case")
        for name in ("plain CNN", "same-probability twin")
    )
    assert_allclose(softmax(first.logits, 1), softmax(twin.logits, 1), atol=1e-5)
    assert np.abs(first.logits - twin.logits).min(1).max() > 0.01


def test_a_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = replace(calibration.QUICK, steps=0.01, pool=60, sizes=(60,), draws=2, paper_draws=1)
    monkeypatch.setattr(calibration, "QUICK", toy)
    for module in (calibration, tables):
        monkeypatch.setattr(module, "GOAL_IMAGES", 60)
    asked = ["--quick", "--only", "verdicts", "--kinds", "random init", "--folder", str(tmp_path)]
    figure = tmp_path / "figure.png"
    assert calibration.main([*asked, "--figure", str(figure)]) == 0
    first = capsys.readouterr().out
    assert "| random init withheld, as a first version | at least 95% | 100% | 1, 100% to 100% |" in first
    assert figure.read_bytes().startswith(b"\x89PNG")
    for work in ("train", "measure"):
        monkeypatch.setattr(versions, work, None)
    assert calibration.main(asked) == 0
    assert capsys.readouterr().out == first


def test_intervals_of_margins_miss_what_they_should() -> None:
    rows = [[cell.strip() for cell in row.split("|")] for row in table_of_margins(quick=True).splitlines()[2:]]
    missed = {(row[1], row[2]): [float(cell.rstrip("%")) for cell in row[3:7]] for row in rows}
    assert missed["of d_z", "normal, d_z = 0.3"] == pytest.approx([5, 2.5, 5, 2.5], abs=5)
    assert max(missed["Wilson's, ties counting half", "a share of 0.85, 20% ties"]) < 5
