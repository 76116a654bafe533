"""The images that small networks are judged by: those of this package, or none."""

from pathlib import Path

import numpy as np
import pytest

from case_monitor.domain.errors import ConfigError
from case_monitor.networks.small import SMALL_DATA, prepared


@pytest.mark.parametrize("name", SMALL_DATA)
def test_images_that_are_there_must_be_the_same(tmp_path: Path, name: str) -> None:
    data, file = SMALL_DATA[name](), tmp_path / "data" / "images.npz"
    data.save_validation(file)
    before = file.read_bytes()
    data.save_validation(file)
    assert file.read_bytes() == before
    with np.load(file) as there:
        content = dict(there)
    np.savez_compressed(file, **(content | {"labels": np.roll(content["labels"], 1)}))
    with pytest.raises(ConfigError, match="the images of this study were expected, others came"):
        data.save_validation(file)
    file.write_bytes(before[:1000])
    with pytest.raises(ConfigError, match="others came"):
        data.save_validation(file)


@pytest.mark.parametrize("name", SMALL_DATA)
def test_training_and_validation_have_no_image_in_common(name: str) -> None:
    data = SMALL_DATA[name]()
    seen = {image.tobytes() for image in data.train_images}
    assert sum(image.tobytes() in seen for image in data.images) == 0
    batch = prepared(data.images[:2], data.preprocessing)
    assert batch.shape == (2, *data.shape)
    scaled = data.images[0].astype(np.float64).reshape(*data.images.shape[1:3], -1)[..., 0] / 255
    expected = (scaled - data.preprocessing.mean[0]) / data.preprocessing.std[0]
    assert np.allclose(batch[0, 0].numpy(), expected, atol=1e-6)
