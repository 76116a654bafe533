"""What `prefect deploy` deploys; its steps are in case_monitor/steps."""

from case_monitor.steps.watch_registry import watch_registry

__all__ = ["watch_registry"]
