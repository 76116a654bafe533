"""What MLflow is to be told of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Ready to be sent, at once or later, by whatever process.

    Attributes:
        model_name: of the version that was evaluated.
        version: its number.
        key: digest of the evaluation's natural key; MLflow has one run of each.
        made_at: what the metrics are dated, so that sending them twice gives them once.
        metrics: overall figures by the names that MLflow allows.
        run_tags: of the run, without the evaluation's id, which the database gives.
        version_tags: of the model version, likewise.
        files: figures, reports and tables as a ZIP archive.
    """

    model_name: str
    version: int
    key: str
    made_at: datetime
    metrics: Mapping[str, float]
    run_tags: Mapping[str, str]
    version_tags: Mapping[str, str]
    files: bytes
