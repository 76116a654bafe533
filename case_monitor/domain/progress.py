"""How far long work is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, the images done, and the images in all."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
