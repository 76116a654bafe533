"""What no policy can leave out: numbers that are numbers, and answers that stay the same."""

from typing import NamedTuple


class Broken(NamedTuple):
    """What is said of a model that gives NaN, and when it no longer does."""

    broken: str
    healthy: str


BROKEN = {
    "finite_logits": Broken("the logits of {broken} of {n} images are NaN or infinite", "all logits are finite"),
    "finite_passes": Broken(
        "it gives NaN or infinity in passes over {broken} of the {n} explained images: in gradients, in maps, or in "
        "logits with some pixels taken away",
        "every pass over the explained images gives finite numbers",
    ),
    "same_answers": Broken(
        "{broken} of {n} images get another answer when they are shown again, in pairs: the answers depend on "
        "the batch, on chance, or on what was asked before",
        "images that are shown again get the same answers",
    ),
}
"""By the metric's name."""
