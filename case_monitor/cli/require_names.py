"""A mistyped model or configuration is answered before torch, MLflow and Prefect are imported."""

from collections.abc import Sequence
from pathlib import Path


def require_model(model: str, config: Path | None) -> None:
    """See that a reference is one, to a configured model."""
    from case_monitor.domain.model_ref import ModelRef

    require_names([ModelRef.parse(model).name], config)


def require_names(names: Sequence[str], config: Path | None) -> None:
    """See that models are configured."""
    from case_monitor.settings import load_settings

    settings = load_settings(config)
    for name in names:
        settings.model(name)
