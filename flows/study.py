"""What runs the paper's study; its steps are in case_monitor/steps. Nothing schedules it."""

from case_monitor.steps.study import study

__all__ = ["study"]
