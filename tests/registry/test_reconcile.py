"""Model, configuration and data together: the model's own metadata first, and every contradiction from both sides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from case_monitor.dataset import RawSplit, load_split
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.protocol import Protocol
from case_monitor.measuring_process.local import LocalSplit
from case_monitor.registry.loading import RegisteredModel
from case_monitor.registry.reconcile import choose_preprocessing, reconcile, with_target_layer
from case_monitor.settings import FunctionSplit, ModelSettings, NpzSplit, Preprocessing
from tests.support.models_here import saved

LOGGED = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
CONFIGURED = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
GREY = Preprocessing(mean=(0.5,), std=(0.5,))
REGISTERED = RegisteredModel(
    version=ModelVersion(name="digits", version=3, run_id=None, digest="d"),
    files=saved(nn.Identity()),
    class_names=None,
    preprocessing=LOGGED,
    input_shape=None,
    target_layer=None,
)


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings.model_validate({"split": {"kind": "npz", "path": "val.npz"}, **changes})


@pytest.fixture
def raw(tmp_path: Path) -> RawSplit:
    """Three 6 x 5 RGB images of a, b and c."""
    images = np.random.default_rng(0).integers(0, 255, (3, 6, 5, 3), dtype=np.uint8)
    path = tmp_path / "val.npz"
    np.savez(path, images=images, labels=np.arange(3), class_names=np.array(["a", "b", "c"]))
    return load_split(NpzSplit(kind="npz", path=path))


def opened(raw: RawSplit) -> LocalSplit:
    return LocalSplit(raw=raw)


class Flat(Dataset[Any]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(4, 4), index


class TestClassNames:
    def test_the_models_order_goes_before_the_data_sets(self, raw: RawSplit) -> None:
        images = reconcile(replace(REGISTERED, class_names=("c", "a", "b")), settings(), opened(raw))
        assert images.split.class_names == ("c", "a", "b")
        assert images.target.tolist() == [1, 2, 0]

    def test_the_configuration_serves_a_model_without_names(self, raw: RawSplit) -> None:
        images = reconcile(REGISTERED, settings(class_names=["b", "c", "a"]), opened(raw))
        assert images.split.class_names == ("b", "c", "a")
        assert images.target.tolist() == [2, 0, 1]

    def test_the_data_sets_own_serve_last(self, raw: RawSplit) -> None:
        assert reconcile(REGISTERED, settings(), opened(raw)).split.class_names == ("a", "b", "c")

    def test_the_same_names_on_both_sides_are_no_contradiction(self, raw: RawSplit) -> None:
        model = replace(REGISTERED, class_names=("a", "b", "c"))
        assert reconcile(model, settings(class_names=["a", "b", "c"]), opened(raw)).split.class_names == ("a", "b", "c")

    def test_other_names_are_said_from_both_sides(self, raw: RawSplit) -> None:
        names = [f"class {i}" for i in range(9)]
        model = replace(REGISTERED, class_names=(*names, "tenth"))
        expected = "digits/3 was logged with 10, the configuration has 10; the first that differ: 9, 'tenth' and 'last'"
        with pytest.raises(DataError, match=expected):
            reconcile(model, settings(class_names=[*names, "last"]), opened(raw))

    def test_another_number_of_names_is_said_from_both_sides(self, raw: RawSplit) -> None:
        model = replace(REGISTERED, class_names=("a", "b", "c"))
        with pytest.raises(DataError, match=r"model digits/3 was logged with 3, the configuration has 2$"):
            reconcile(model, settings(class_names=["a", "b"]), opened(raw))

    def test_another_number_than_the_data_sets_is_said_from_both_sides(self, raw: RawSplit) -> None:
        model = replace(REGISTERED, class_names=("a", "b", "c", "d"))
        with pytest.raises(DataError, match=r"^number of classes: the data set 'val' has 3, the model has 4$"):
            reconcile(model, settings(), opened(raw))


class TestPreprocessing:
    def test_the_models_own_is_used(self, raw: RawSplit) -> None:
        source = opened(raw).prepared(None, choose_preprocessing(REGISTERED, settings())).source
        stored = torch.from_numpy(np.array(raw.images[0][0])).permute(2, 0, 1) / 255
        expected = (stored - torch.tensor(LOGGED.mean).view(3, 1, 1)) / torch.tensor(LOGGED.std).view(3, 1, 1)
        torch.testing.assert_close(next(source.batches([0], 1))[0], expected)

    def test_the_configured_one_serves_a_model_without(self) -> None:
        model = replace(REGISTERED, preprocessing=None)
        assert choose_preprocessing(model, settings(preprocessing=CONFIGURED)) == CONFIGURED
        assert choose_preprocessing(model, settings()) is None

    def test_the_same_on_both_sides_is_no_contradiction(self) -> None:
        same = settings(preprocessing={"resize": None, "mean": LOGGED.mean, "std": LOGGED.std})
        assert choose_preprocessing(REGISTERED, same) == LOGGED

    def test_a_difference_is_said_from_both_sides_and_nothing_else_is(self) -> None:
        other = settings(preprocessing={"crop": 4, "mean": LOGGED.mean, "std": LOGGED.std})
        expected = "preprocessing: model digits/3 was logged with, and the configuration has, crop: None and 4"
        with pytest.raises(DataError, match=f"^{expected}$"):
            choose_preprocessing(REGISTERED, other)

    def test_without_any_the_remedy_is_said(self, raw: RawSplit) -> None:
        with pytest.raises(ConfigError, match=r"preprocessing: .* set it in the configuration"):
            reconcile(replace(REGISTERED, preprocessing=None), settings(), opened(raw))


class TestShape:
    @pytest.mark.parametrize("shape", [(3, 6, 5), (-1, 6, 5), (3, -1, -1), None])
    def test_a_shape_that_fits_is_accepted(self, raw: RawSplit, shape: tuple[int, ...] | None) -> None:
        images = reconcile(replace(REGISTERED, input_shape=shape), settings(), opened(raw))
        assert images.split.size == len(images.sample_ids) == 3

    @pytest.mark.parametrize("shape", [(1, 6, 5), (3, 5, 6), (3, 7, -1)])
    def test_another_shape_is_said_from_both_sides(self, raw: RawSplit, shape: tuple[int, ...]) -> None:
        with pytest.raises(DataError) as caught:
            reconcile(replace(REGISTERED, input_shape=shape), settings(), opened(raw))
        assert f"model digits/3 expects {shape}, the prepared data set has (3, 6, 5)" in str(caught.value)

    def test_grey_preprocessing_for_an_rgb_model_is_said_from_both_sides(self, raw: RawSplit) -> None:
        model = replace(REGISTERED, preprocessing=GREY, input_shape=(3, -1, -1))
        with pytest.raises(DataError, match=r"expects \(3, -1, -1\), the prepared data set has \(1, 6, 5\)"):
            reconcile(model, settings(), opened(raw))

    @pytest.mark.parametrize("shape", [None, (1, 4, 4)])
    def test_tensors_without_channels_are_an_error(self, shape: tuple[int, ...] | None) -> None:
        raw = load_split(FunctionSplit(kind="function", function="tests.registry.test_reconcile:Flat"))
        with pytest.raises(DataError, match=r"the prepared data set has \(4, 4\)"):
            reconcile(replace(REGISTERED, preprocessing=None, input_shape=shape), settings(), opened(raw))


class TestTargetLayer:
    def test_auto_gives_way_to_the_logged_layer(self) -> None:
        model = replace(REGISTERED, target_layer="features.3")
        assert with_target_layer(Protocol(seed=4), model) == Protocol(seed=4, target_layer="features.3")

    def test_a_configured_layer_stays(self) -> None:
        protocol = Protocol(target_layer="features.1")
        assert with_target_layer(protocol, replace(REGISTERED, target_layer="features.3")) == protocol

    def test_without_a_logged_layer_auto_stays(self) -> None:
        assert with_target_layer(Protocol(), REGISTERED) == Protocol()
