"""One registered version of a model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One registered version. `digest` is the SHA-256 of its artifact files, so a changed artifact is seen."""

    name: str
    version: int
    run_id: str | None
    digest: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"
