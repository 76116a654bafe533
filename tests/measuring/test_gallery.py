"""The worst images are found, wherever they are in the sample and however it is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.measuring.explain import join_explained
from case_monitor.measuring.gallery import (
    GALLERY_SIZE,
    WORST_SIZE,
    Shown,
    chosen_places,
    gallery_of,
    gallery_places,
    kept,
    likeness,
    model_inputs,
)
from case_monitor.measuring.workers.shards import cut
from tests.support.sources import TensorSource, predictions
from tests.support.whole import explainer

NAN = float("nan")


def shown(place: int, alike: float, *, by_class: bool = False) -> Shown:
    """A picture that says where it is from."""
    return Shown(
        likeness=alike,
        image=np.full((4, 6, 3), place, np.uint8),
        input=torch.full((1, 4, 6), float(place)) if by_class else None,
        maps={"case": torch.full((2, 2, 3), float(place))},
    )


def test_a_degenerate_map_is_as_bad_as_maps_that_are_the_same() -> None:
    scores = {
        ("case", "agreement"): np.array([0.2, NAN, 1.0, NAN]),
        ("gradcam", "agreement"): np.array([0.6, 0.6, 0.6, NAN]),
        ("random", "agreement"): np.array([1.0, 1.0, 1.0, 1.0]),
        ("case", "confidence_drop_50"): np.array([NAN, NAN, NAN, NAN]),
    }
    assert likeness(scores, ("case", "gradcam")) == pytest.approx([0.4, 0.8, 0.8, 1.0])
    assert np.isnan(scores["case", "agreement"]).sum() == 2, "the scores must not be changed"


@given(st.lists(st.lists(st.floats(0, 1), min_size=9, max_size=9), min_size=1, max_size=20), st.data())
def test_likeness_does_not_depend_on_how_many_images_come_together(
    rows: list[list[float]], data: st.DataObject
) -> None:
    methods = tuple(f"method {m}" for m in range(9))
    agreement = np.array(rows).T
    together = likeness({(m, "agreement"): values for m, values in zip(methods, agreement, strict=True)}, methods)
    i = data.draw(st.integers(0, len(rows) - 1))
    alone = likeness(
        {(m, "agreement"): values[i : i + 1] for m, values in zip(methods, agreement, strict=True)}, methods
    )
    assert alone[0] == together[i]


def test_those_by_class_come_first_then_the_worst_and_of_equal_ones_the_first() -> None:
    alike = dict.fromkeys(range(40), 0.5) | {33: 0.9, 7: 0.7, 2: 1.0, 30: 0.9}
    chosen = chosen_places(alike, [2, 5])
    assert chosen[:5] == [2, 5, 30, 33, 7]
    assert chosen[5:] == [0, 1, 3, 4, 6, *range(8, 16)]
    assert len(chosen) == 2 + WORST_SIZE
    assert chosen_places({3: 0.1, 5: 0.0}, [2, 5]) == [5, 3]


@given(
    alike=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=90),
    cuts=st.sets(st.integers(1, 89)),
    by_class=st.sets(st.integers(0, 89), max_size=GALLERY_SIZE),
)
def test_the_cut_changes_nothing_and_few_are_held(alike: list[float], cuts: set[int], by_class: set[int]) -> None:
    everything = {place: shown(place, value) for place, value in enumerate(alike)}
    places = sorted(by_class)
    held: dict[int, Shown] = {}
    for start, stop in zip((0, *sorted(cuts)), (*sorted(cuts), len(alike)), strict=True):
        part = kept({p: everything[p] for p in range(start, min(stop, len(alike)))}, places)
        assert len(part) <= GALLERY_SIZE + WORST_SIZE
        held = kept(held | part, places)
    assert list(held) == list(kept(everything, places))
    assert all(held[place] is everything[place] for place in held)


def test_a_gallery_of_those_that_stayed() -> None:
    preds, top2 = predictions(np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 0]), np.array([1, 2, 0, 2])
    gallery = gallery_of(
        {1: shown(1, 0.1, by_class=True), 3: shown(3, 0.9), 0: shown(0, 0.5)}, preds, top2, [1], ("case",)
    )
    assert gallery.sample_ids == ("image-0001", "image-0003", "image-0000")
    assert (gallery.target.tolist(), gallery.top2.tolist()) == ([1, 0, 0], [2, 2, 1])
    assert gallery.images[:, 0, 0, 0].tolist() == [1, 3, 0]
    assert gallery.maps["case"].shape == (3, 2, 4, 6)
    assert gallery.maps["case"][:, 1, 2, 2].tolist() == [1, 3, 0]
    assert gallery.worst == 2
    first = gallery.by_class
    assert (first.sample_ids, first.worst, len(first.images), len(first.maps["case"])) == (("image-0001",), 0, 1, 1)
    assert first.target.tolist() == [1]
    assert gallery_of({}, preds, top2, [1], ("case",)).by_class.sample_ids == ()
    assert first.inputs is gallery.inputs
    assert gallery.inputs is not None
    assert gallery.inputs.pixels.tolist() == np.full((1, 4, 6, 3), 170).tolist()  # 1 of -3..3: (1 / 3 + 1) * 127.5
    assert gallery_of({3: shown(3, 0.9)}, preds, top2, [1], ("case",)).inputs is None


def test_inputs_are_on_one_scale_whatever_they_are() -> None:
    values = torch.tensor([-9.0, -3.0, 0.0, 3.0, float("nan"), float("inf")])
    red = torch.stack([values.view(1, 6), torch.zeros(1, 6), torch.ones(1, 6), torch.full((1, 6), 7.0)])
    inputs = model_inputs(red[None])
    assert inputs.pixels[0, 0].tolist() == [[level, 128, 170] for level in (0, 0, 128, 255, 128, 255)]
    assert inputs.means[1:].tolist() == [0, 1, 7]
    assert inputs.sds[1:].tolist() == [0, 0, 0]
    two = model_inputs(torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[5.0, 7.0]], [[0.0, 0.0]]]]))
    assert (two.means.tolist(), two.sds.tolist()) == ([4, 0], [pytest.approx(5**0.5), 0])
    assert two.pixels[0, 0].tolist() == [[170] * 3, [255] * 3]  # of two channels the first


class Levels(torch.nn.Module):
    """Two classes, each with a channel of the image that is its map."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = torch.nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 2, H, W) -> (B, 2)."""
        return self.relu(images).mean((-2, -1)) * images.new_tensor([1.0, 0.5])


def comb(shared: int) -> torch.Tensor:
    """(2, 20, 20) for `Levels`: 20 bright pixels per channel, its top 5%, of which `shared` are the same."""
    image = torch.zeros(2, 400)
    image[0, :20] = 1
    image[1, 20 - shared : 40 - shared] = 1
    return image.view(2, 20, 20)


def explained(shares: list[int | None], batch_size: int, shard_size: int) -> tuple[list[str], int]:
    """Names in the gallery for images with known agreement, shares / 20; None: its second map is degenerate."""
    images = torch.stack([comb(0) if s is None else comb(s) for s in shares])
    for image, share in zip(images, shares, strict=True):
        if share is None:
            image[1] = 0
    source = TensorSource(images, np.zeros(len(shares), int))
    model = Levels()
    preds = predictions(model(images).numpy(), source.target)
    sample = Sample.of(np.arange(len(shares)), preds)
    protocol = Protocol(methods=("gradcam", "layercam"), target_layer="relu", areas=(0.05,))
    explaining = explainer(model, "relu", {}, source, protocol, batch_size)
    parts = explaining.explain(sample, cut(len(shares), shard_size, batch_size), lambda _: None)
    scores, gallery = join_explained(parts, sample, protocol, protocol.methods[0])
    expected = [NAN if s is None else s / 20 for s in shares]
    for method in protocol.methods:
        assert scores.values[method, "agreement"] == pytest.approx(expected, nan_ok=True)
    return list(gallery.sample_ids), gallery.worst


@pytest.mark.parametrize(("batch_size", "shard_size"), [(100, 100), (1, 1), (4, 8), (7, 7), (3, 60)])
def test_the_worst_of_a_sample_with_known_agreement(batch_size: int, shard_size: int) -> None:
    rng = np.random.default_rng(0)
    shares: list[int | None] = [int(s) for s in rng.integers(0, 12, 70)]
    shares[50], shares[64], shares[12] = None, 20, 19
    names, worst = explained(shares, batch_size, shard_size)
    others = sorted(range(GALLERY_SIZE, 70), key=lambda i: (-20 if shares[i] is None else -shares[i], i))
    assert others[:3] == [50, 64, 12]
    expected = [*range(GALLERY_SIZE), *others[:WORST_SIZE]]
    assert names == [f"image-{i:04d}" for i in expected]
    assert worst == WORST_SIZE


def test_all_of_one_class_are_by_class_from_the_beginning() -> None:
    assert gallery_places(np.zeros(70, int)) == list(range(GALLERY_SIZE))
