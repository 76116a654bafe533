"""A whole evaluation asked of the measuring process, and one in this process: the same to the last bit."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from case_monitor.demo.models import PlainCNN
from case_monitor.domain.findings import Findings
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.judging.evaluate import evaluate
from case_monitor.judging.measurer import Subject
from case_monitor.judging.reproduce import Stored, reproduce
from case_monitor.measuring_process.local import LocalPlace
from case_monitor.measuring_process.place import Place, Way
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.settings import NpzSplit
from tests.measuring_process.judging import GREY, ISOLATION, PROTOCOL, SIZE, blobs_file, several_file
from tests.steps.test_shards import assert_equal_to_the_last_bit
from tests.steps.test_trial import POLICY, trained, version
from tests.support.models_here import saved


def subject(
    place: Place,
    files: ModelFiles,
    number: int,
    folder: Path,
    split: Callable[[Path], NpzSplit] = blobs_file,
    **way: Any,
) -> Subject:
    images = place.open_split(split(folder)).prepared(None, GREY)
    return Subject(
        version=version(number),
        split=images.split,
        sample_ids=images.sample_ids,
        target=images.target,
        excluded=images.excluded,
        measurer=images.measurer(files, PROTOCOL, ISOLATION, Way(**way)),
    )


@pytest.fixture(scope="module")
def networks() -> list[ModelFiles]:
    models: list[PlainCNN] = [trained(3, seed=seed) for seed in (0, 1)]
    return [saved(model, f"model blobs/{n}") for n, model in enumerate(models)]


def run(place: Place, networks: list[ModelFiles], folder: Path, **way: Any) -> tuple[Findings, Subject]:
    candidate, baseline = (subject(place, files, n, folder, **way) for n, files in enumerate(networks))
    found = evaluate(candidate, baseline, policy=POLICY, protocol=PROTOCOL)
    baseline.measurer.end()
    return found, candidate


def test_images_of_several_classes_are_the_same_there(networks: list[ModelFiles], tmp_path: Path) -> None:
    """Across two processes, as in none: what an image is of, too, is where it is needed."""
    expected, held = run(LocalPlace(), networks, tmp_path, split=several_file)
    place = RemotePlace()
    found, asked = run(place, networks, tmp_path, split=several_file, workers=2, shard_size=8)
    assert_equal_to_the_last_bit(found, expected)
    assert asked.split == held.split
    assert held.excluded is not None
    assert 0 < held.excluded.sum() <= SIZE // 3
    assert {s.metric for s in found.evaluation.summaries} >= {"label_recall", "label_precision"}
    np.testing.assert_array_equal(asked.excluded, held.excluded)
    for ours in (asked, held):
        ours.measurer.end()
    place.end()


@pytest.mark.parametrize(("workers", "shard_size"), [(1, SIZE), (2, 8)])
def test_who_measures_changes_no_bit(networks: list[ModelFiles], tmp_path: Path, workers: int, shard_size: int) -> None:
    told: list[tuple[str, int, int]] = []
    expected, held = run(LocalPlace(), networks, tmp_path)
    place = RemotePlace()
    way = {"workers": workers, "shard_size": shard_size}
    found, asked = run(place, networks, tmp_path, progress=lambda *now: told.append(now), **way)
    assert_equal_to_the_last_bit(found, expected)
    assert asked.split == held.split
    np.testing.assert_array_equal(found.gallery.images, expected.gallery.images)
    assert {stage for stage, _, _ in told} >= {"predict", "explain", "compare explanations"}
    assert all(0 <= done <= total for _, done, total in told)
    stored = Stored(
        scores=expected.evaluation.scores,
        contrast_sets=expected.evaluation.contrast_sets,
        target_layer=expected.evaluation.provenance.target_layer,
    )
    again = [reproduce(subject, stored, protocol=PROTOCOL, images=9) for subject in (asked, held)]
    assert again[0] == again[1]
    assert again[0].reproduced
    asked.measurer.end()
    held.measurer.end()
    place.end()
    asked.measurer.end()  # there is nothing any more, and that is no error


def test_layers_are_the_same_there(networks: list[ModelFiles], tmp_path: Path) -> None:
    remote = RemotePlace()
    found = [subject(place, networks[0], 0, tmp_path).measurer for place in (LocalPlace(), remote)]
    names = [measurer.layers() for measurer in found]
    assert names[0] == names[1]
    assert "features" in names[0]
    for measurer in found:
        measurer.end()
    remote.end()


def test_images_are_the_same_where_other_processes_read_them(tmp_path: Path) -> None:
    place = RemotePlace()
    opened = place.open_split(blobs_file(tmp_path))
    digests = {opened.prepared(None, GREY, num_workers).split.digest for num_workers in (0, 1)}
    shapes = {opened.prepared(None, GREY, num_workers).shape for num_workers in (0, 1)}
    assert (len(digests), shapes) == (1, {(1, 20, 24)})
    place.end()


def test_images_with_pixels_of_others_are_the_same_there(networks: list[ModelFiles], tmp_path: Path) -> None:
    remote = RemotePlace()
    given = np.array([3, 0, 3]), np.array([5, 1, 2]), np.array([0, 7, 25])
    whole, changed = [], []
    for place in (LocalPlace(), remote):
        measurer = subject(place, networks[0], 0, tmp_path).measurer
        for found, of in ((whole, measurer), (changed, measurer.with_pixels(*given))):
            with closing(of.at("auto").predict("predict")) as parts:
                found.append(np.concatenate([part.logits for part in parts]))
            of.end()
    remote.end()
    np.testing.assert_array_equal(*changed)
    assert len(changed[0]) == 3
    assert (np.abs(changed[0] - whole[0][given[0]]).max(1) > 0).all()


def test_a_part_that_nobody_wants_is_given_up(networks: list[ModelFiles], tmp_path: Path) -> None:
    place = RemotePlace()
    layer = subject(place, networks[0], 0, tmp_path, shard_size=8).measurer.at("auto")
    parts = layer.predict("predict")
    first = next(parts)
    parts.close()
    whole = np.concatenate([part.logits for part in layer.predict("predict")])
    np.testing.assert_array_equal(whole[: len(first.logits)], first.logits)
    assert len(whole) == SIZE
    assert list(layer.predict_pairs(np.array([], dtype=np.int64), "pairs")) == []
    place.end()
