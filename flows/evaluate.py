"""What `prefect deploy` deploys; its steps are in case_monitor/steps."""

from case_monitor.steps.evaluate import evaluate_version

__all__ = ["evaluate_version"]
