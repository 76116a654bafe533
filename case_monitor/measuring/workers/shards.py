"""Cutting a split into shards, on whole batches: the cut then changes no number."""

from dataclasses import dataclass

# Explaining an image takes about as long as predicting this many, and a shard should take about as long as another.
_PREDICTIONS_PER_EXPLANATION = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Images `start` to `stop` of what is worked through, the `number`-th piece of it from 0."""

    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def cut(total: int, shard_size: int, batch_size: int) -> tuple[Shard, ...]:
    """Shards of `shard_size` images, rounded up to whole batches; the last one holds what is left.

    Every batch is then made of the same images as in one pass. A batch of others would be summed in another order,
    and change logits and gradients in their last bits.

    Example:
        >>> [(shard.start, shard.stop) for shard in cut(10, 3, 2)]
        [(0, 4), (4, 8), (8, 10)]
    """
    size = -(-max(shard_size, 1) // batch_size) * batch_size
    return tuple(
        Shard(number=number, start=start, stop=min(start + size, total))
        for number, start in enumerate(range(0, total, size))
    )


def explained_at_once(shard_size: int) -> int:
    """How many images to explain in the time that `shard_size` take to predict."""
    return max(1, shard_size // _PREDICTIONS_PER_EXPLANATION)
