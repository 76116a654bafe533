"""A registered version's files on this machine, from which its own process loads it."""

import io
import tarfile
import tempfile
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Self


class ModelFiles:
    """A folder with an MLflow model, deleted when nobody needs it any more.

    Attributes:
        path: of the folder that holds the file MLmodel.
        title: whose it is, for messages.
        data: the folder with the weights, relative to `path`.
        code: the folder with the model's own modules, relative to `path`.

    Args:
        held: deletes it when it is closed.
    """

    def __init__(self, path: Path, title: str, data: str, code: str, *, held: ExitStack) -> None:
        self.path, self.title, self.data, self.code = path, title, data, code
        weakref.finalize(self, held.close)

    def __reduce__(self) -> tuple[object, ...]:
        """As it travels to another machine: with its files."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            archive.add(self.path, arcname=".")
        return ModelFiles.unpacked, (content.getvalue(), self.title, self.data, self.code)

    def borrowed(self) -> tuple[object, ...]:
        """As it goes to another process of this machine, in the form of `__reduce__`: where they are."""
        return ModelFiles.lent, (str(self.path), self.title, self.data, self.code)

    @classmethod
    def lent(cls, path: str, title: str, data: str, code: str) -> Self:
        """Somebody else's, who deletes them."""
        return cls(Path(path), title, data, code, held=ExitStack())

    @classmethod
    def unpacked(cls, content: bytes, title: str, data: str, code: str) -> Self:
        """What `__reduce__` packed, in a folder of its own."""
        with ExitStack() as held:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="case-monitor-")))
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(folder, filter="data")
            return cls(folder, title, data, code, held=held.pop_all())
