"""What each flow does first, in whatever process it runs."""

from case_monitor.logs.configure import configure_logs
from case_monitor.settings import Settings, load_settings


def begin(config: str | None) -> Settings:
    """Set up the logs, read the configuration.

    Raises:
        ConfigError: one of them is wrong.
    """
    configure_logs()
    return load_settings(config)
