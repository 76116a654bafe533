"""Where the shards of a large split are worked on."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from case_monitor.domain.protocol import DEFAULT_SHARD_SIZE


class _Engine(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    shard_size: int = Field(DEFAULT_SHARD_SIZE, ge=1)
    """Images to predict in one piece, rounded up to whole batches; to explain, a 64th of that. Changes no number."""


class ThreadsEngine(_Engine):
    """The process that measures, on this machine."""

    kind: Literal["threads"] = "threads"
    workers: int = Field(1, ge=1)
    """Threads, each with a process for the model and a part of torch's own threads; see [scale.md](scale.md)."""


class RayEngine(_Engine):
    """A Ray cluster. Needs the extra `case-monitor[ray]`, here and on every machine of the cluster."""

    kind: Literal["ray"]
    workers: int = Field(2, ge=1)
    """Shards at the same time."""
    address: str = "local"
    """`local` starts a cluster of `workers` processes on this machine for the time of the run; `auto` takes the one
    that runs here, and `ray://host:10001` one elsewhere."""
    num_gpus: float = Field(0, ge=0)
    """GPUs for each shard, as Ray counts them: 0.5 lets two share one. 0 is the CPU."""


EngineSpec = Annotated[ThreadsEngine | RayEngine, Field(discriminator="kind")]
