"""The command line. Imports of torch, MLflow and Prefect wait until a command needs them."""

from case_monitor.cli.app import app, main

__all__ = ["app", "main"]
