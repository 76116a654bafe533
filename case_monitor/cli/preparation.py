"""What each command does before it imports anything heavy."""

import logging
import os
import warnings

from case_monitor.cli.standard_output import reserve
from case_monitor.logs.configure import show_all_logs


def prepare(*, verbose: bool) -> None:
    """Standard output for results alone, no telemetry, and quiet libraries, unless asked for their logs."""
    reserve()
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # Only Ray's workers need a server where none is configured; on a busy machine it takes more than Prefect's 20 s.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
    if verbose:
        show_all_logs()
        return
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
