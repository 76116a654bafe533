"""What `prefect deploy` deploys; its steps are in case_monitor/steps."""

from case_monitor.steps.nightly import nightly

__all__ = ["nightly"]
