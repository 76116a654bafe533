"""The web service: what machines ask it, and what MLflow tells it."""

from case_monitor.service.app import create_app

__all__ = ["create_app"]
