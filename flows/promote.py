"""What `prefect deploy` deploys; its steps are in case_monitor/steps."""

from case_monitor.steps.promote import promote

__all__ = ["promote"]
