"""Pages for people who decide on models. They read the results database, and nothing else."""

from case_monitor.dashboard.mount import add_dashboard

__all__ = ["add_dashboard"]
