"""One registered version of a model."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One registered version.

    Attributes:
        name, version: as registered.
        run_id: the MLflow run that logged it.
        digest: SHA-256 of its artifact files, so a changed artifact is seen.
        signer: who vouches for these files, where a signature was asked for.
        seed_group: the study of seeds that its team says it belongs to.
    """

    name: str
    version: int
    run_id: str | None
    digest: str
    signer: str | None = field(default=None, compare=False)
    seed_group: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"
