"""The MLflow model registry."""

from case_monitor.registry.metadata import model_metadata

__all__ = ["model_metadata"]
