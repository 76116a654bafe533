"""One image file, as a split of its own."""

from pathlib import Path

import numpy as np

from case_monitor.dataset.pictures import look, read
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.stored import File
from case_monitor.domain.errors import DataError


def read_image(path: Path) -> RawSplit:
    """Read it.

    Raises:
        DataError: there is none.
    """
    if not path.is_file():  # a pipe would be waited for
        msg = f"image: a file was expected at {path}, none is there"
        raise DataError(msg)
    stored = File(path)
    seen = look(stored)
    if seen.problem or seen.unreadable:
        msg = f"image: {path} cannot be read as an image: {seen.problem or seen.unreadable}"
        raise DataError(msg)
    return RawSplit(
        name=path.name,
        images=[(read(stored.content()), 0)],  # type: ignore[arg-type] # a list is a map-style data set in all but name
        sample_ids=(path.name,),
        labels=np.zeros(1, dtype=np.int64),
        class_names=None,
        digest="",
        contents=(b"",),
    )
