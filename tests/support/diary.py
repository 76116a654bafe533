"""Images that tell what happens to them. Workers import this module: what it imports must be quick to import."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from tests.support.sources import TensorSource, blobs

SIZE = 90


class Diary(TensorSource):
    """Images that write down, in a folder, which processes got them; one that was told to waits to be killed."""

    def __init__(self, folder: Path, wait_at: int | None) -> None:
        source = blobs(SIZE, (0, 1, 2, 3), noise=0.9)
        super().__init__(source.images, source.target)
        self.folder, self.wait_at = folder, wait_at

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        with (self.folder / f"arrived-{os.getpid()}").open("a") as file:
            file.write("once\n")

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        for done, batch in enumerate(super().batches(indices, batch_size)):
            if self.wait_at == indices[0] and done == 1:
                with suppress(FileExistsError), (self.folder / "victim").open("x") as file:
                    file.write(str(os.getpid()))
                    file.flush()
                    time.sleep(600)
            yield batch
