"""What flows are asked for. Imports nothing heavy: what was mistyped is answered at once."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class EvaluationRequest(BaseModel):
    """What to evaluate."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str = Field(examples=["flowers/3", "flowers@champion"])
    """A registered version, `name/3` or `name@alias`."""
    config: str | None = None
    """Path of the configuration file; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""
    reuse: bool = False
    """Take a stored evaluation of the same model, split, protocol, policy and baseline instead of a new one."""
    first: bool = False
    """Judge it as a first version, without comparison, though the alias, which none holds now, was held before."""


class NightlyRequest(BaseModel):
    """What to look at."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    models: tuple[str, ...] = Field((), examples=[["flowers"]])
    """Registered names; without any, all models of the configuration."""
    config: str | None = None
    """Path of the configuration file; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""


class OverrideRequest(BaseModel):
    """Which version is to hold the alias whatever its verdict, who answers for it, why, and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str = Field(examples=["flowers/3"])
    """A registered version by its number."""
    by: str
    """Who answers for it."""
    reason: str
    """Why, for everybody to read."""
    until: AwareDatetime
    """When somebody must have decided anew."""
    config: str | None = None
    """Path of the configuration file; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""


class WatchRequest(BaseModel):
    """Where to look."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    config: str | None = None
    """Path of the configuration file; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""


class StudyRequest(BaseModel):
    """What to study, and where to keep it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: str | None = None
    """A study's file (docs/study.md); without it the preset of small networks."""
    directory: str
    """Where its database, its models and its report lie; the same one goes on where it stopped."""
    seeds: int | None = Field(None, ge=1, le=100)
    """How many networks of each kind the preset trains."""
    config: str | None = None
    """Configuration of registered models; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""
