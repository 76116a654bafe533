"""What each flow does first, in whatever process it runs."""

from prefect.runtime import flow_run

from case_monitor.logs import configure_logs
from case_monitor.settings import Settings, load_settings


def begin(config: str | None) -> Settings:
    """Set up the logs, read the configuration.

    Raises:
        ConfigError: one of them is wrong.
    """
    configure_logs()
    return load_settings(config)


def flow_run_id() -> str | None:
    """Of the flow that calls; None outside of flows."""
    return str(flow_run.id) if flow_run.id else None
