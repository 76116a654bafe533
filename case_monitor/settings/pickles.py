"""Which versions may be loaded."""

from typing import Literal

Pickles = Literal["allowed", "signed", "refused"]
