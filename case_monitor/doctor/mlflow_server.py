"""MLflow: whether the tracking server and the registry answer, and take our credentials."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from case_monitor.doctor.check import Answer, Check, Outcome, ask, failed, ok, skipped
from case_monitor.logs.foreign_errors import short_message
from case_monitor.registry.client import Registry
from case_monitor.settings import Settings

TRACKING, REGISTRY = "MLflow tracking", "MLflow registry"

_CREDENTIALS = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, as the server expects"
)
_BY_CODE = {
    "UNAUTHENTICATED": ("401: it does not accept the credentials", _CREDENTIALS),
    "CUSTOMER_UNAUTHORIZED": ("it does not accept the credentials", _CREDENTIALS),
    "PERMISSION_DENIED": (
        "403: it refuses this user, or this host name",
        f"{_CREDENTIALS}; give the user the permission; or start the server with --allowed-hosts",
    ),
    "ENDPOINT_NOT_FOUND": ("404: MLflow does not answer there", "correct `{field}`: the address of MLflow itself"),
}
_BY_WORDS = (
    (r"refused|NewConnectionError", "the connection is refused", "start the server, or correct `{field}`"),
    (r"NameResolution|resolve", "no such host", "correct the host in `{field}`"),
    (r"timeout|timed out|unreachable", "no answer in time", "start the server, or correct `{field}`"),
    (
        r"certificate|SSL",
        "its certificate is not accepted",
        "set MLFLOW_TRACKING_SERVER_CERT_PATH, or correct `{field}`",
    ),
    (r"out-of-date database schema", "its tables are of another MLflow", "run: mlflow db upgrade <tracking_uri>"),
    (r"not in a valid JSON", "MLflow does not answer there", "correct `{field}`: the address of MLflow itself"),
)


def bound_requests() -> None:
    """By default MLflow's client tries again for several minutes. What the user set goes before."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def mlflow_checks(settings: Settings) -> Iterator[Check]:
    """Reach both. The last check has the `Registry` as its value."""
    tracking, registry = settings.tracking_uri, settings.registry_uri or settings.tracking_uri
    first = ask(TRACKING, lambda: _track(settings), remedy="correct `tracking_uri`")
    yield first
    if registry == tracking and first.outcome is not Outcome.OK:
        yield skipped(REGISTRY, "it is the tracking server, which does not answer")
    else:
        yield ask(REGISTRY, lambda: _register(settings), remedy="correct `registry_uri` or `tracking_uri`")


def _track(settings: Settings) -> Answer:
    uri = settings.tracking_uri

    def look(client: MlflowClient) -> Answer:
        experiment = client.get_experiment_by_name(settings.experiment)
        if experiment is not None and experiment.lifecycle_stage != "active":
            return failed(
                f"the experiment {settings.experiment!r} is deleted", "restore it, or name another `experiment`"
            )
        has = "has" if experiment else "does not have yet"
        return ok(f"{short_message(uri)} answers, and {has} the experiment {settings.experiment!r}")

    return _answer("tracking_uri", uri, lambda: look(MlflowClient(uri, settings.registry_uri or uri)))


def _register(settings: Settings) -> Answer:
    uri = settings.registry_uri or settings.tracking_uri

    def look() -> Answer:
        MlflowClient(settings.tracking_uri, uri).search_registered_models(max_results=1)
        return ok(f"{short_message(uri)} answers", Registry(settings.tracking_uri, settings.registry_uri))

    return _answer("registry_uri" if settings.registry_uri else "tracking_uri", uri, look)


def _answer(field: str, uri: str, look: Callable[[], Answer]) -> Answer:
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not file.exists():  # MLflow would make one
        return failed(f"there is no file {file}", f"correct `{field}`, or register a model there first")
    try:
        return look()
    except MlflowException as error:
        found, remedy = _explained(error)
        return failed(f"{short_message(uri)}: {found}", remedy.format(field=field))


def _explained(error: MlflowException) -> tuple[str, str]:
    if error.error_code in _BY_CODE:
        return _BY_CODE[error.error_code]
    for pattern, found, remedy in _BY_WORDS:
        if re.search(pattern, str(error), re.IGNORECASE):
            return found, remedy
    return short_message(error), "correct `{field}`; the server's log says more"
