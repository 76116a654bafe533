"""Active channels by hand."""

import numpy as np
import pytest
import torch
from scipy import stats

from case_monitor.domain.predictions import Predictions
from case_monitor.judging.distributions import density
from case_monitor.judging.predicted_split import mean_active_channels
from case_monitor.measuring.channel_activity import ChannelActivity


def test_a_channel_counts_when_its_spatial_mean_exceeds_tau_strictly() -> None:
    activity = ChannelActivity(0.5)
    one = torch.tensor([[1.0, 0.0], [0.6, 0.6], [2.0, -2.0], [0.5, 0.51]]).view(1, 4, 1, 2)
    assert activity(one) is one
    activity(torch.cat([one, torch.ones(1, 4, 1, 2)]))
    assert activity.counts.tolist() == [2, 2, 4]


def test_the_mean_is_over_the_correct_images_of_each_class() -> None:
    preds = Predictions(
        sample_ids=tuple("abcde"),
        logits=np.float32([[9, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0], [0, 9, 0, 0], [9, 0, 0, 0]]),
        target=np.array([1, 0, 1, 2, 0]),
    )
    mean = mean_active_channels(np.array([99, 3, 10, 99, 4]), preds, 4)
    np.testing.assert_array_equal(mean, [3.5, 10.0, np.nan, np.nan])


def test_density_is_scipys_and_sums_to_one() -> None:
    values = np.array([100.0, 110, 120, 150, 200])
    curve = density(values)
    assert curve is not None
    x, y = curve
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.01)
    assert np.allclose(y, stats.gaussian_kde(values)(x))


def test_values_that_do_not_spread_have_no_density() -> None:
    assert density(np.array([3.0])) is None
    assert density(np.array([3.0, 3.0])) is None
