"""What each command does before it imports anything heavy."""

import logging
import os
import warnings


def prepare(*, verbose: bool) -> None:
    """No telemetry, and quiet libraries, unless asked for their logs."""
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # Only Ray's workers need a server where none is configured; on a busy machine it takes more than Prefect's 20 s.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
    if verbose:
        logging.getLogger("case_monitor").setLevel(logging.DEBUG)
        return
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
