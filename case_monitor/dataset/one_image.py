"""One image file, as a split of its own."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from case_monitor.dataset.pictures import FORMATS
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.errors import DataError


def read_image(path: Path) -> RawSplit:
    """Read it.

    Raises:
        DataError: there is none.
    """
    if not path.is_file():  # a pipe would be waited for
        msg = f"image: a file was expected at {path}, none is there"
        raise DataError(msg)
    try:
        with Image.open(path, formats=FORMATS) as file:
            image = file.copy()
    except (OSError, UnidentifiedImageError) as error:
        msg = f"image: {path} cannot be read as an image: {error}"
        raise DataError(msg) from None
    return RawSplit(
        name=path.name,
        images=[(image, 0)],  # type: ignore[arg-type] # a list is a map-style data set in all but name
        sample_ids=(path.name,),
        labels=np.zeros(1, dtype=np.int64),
        class_names=None,
        digest="",
        contents=(b"",),
    )
