"""Prefect: no server is fine; one that is named must answer, and should have what runs the deployments."""

from collections.abc import Iterator

import prefect
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from case_monitor.doctor.check import Answer, Check, Outcome, ask, failed, ok, skipped, warning
from case_monitor.logs.foreign_errors import short_message

SERVER, POOL, DEPLOYMENTS = "Prefect server", "Prefect work pool", "Prefect deployments"
WORK_POOL = "case-monitor"
# As in prefect.yaml.
EXPECTED = ("evaluate-version/evaluate-version", "promote/promote", "nightly/nightly", "watch-registry/watch-registry")

_REACH = "start it (prefect server start), or correct PREFECT_API_URL; without it, commands need none"
_UNAUTHORISED = "set PREFECT_API_AUTH_STRING or PREFECT_API_KEY as the server expects"


def prefect_checks() -> Iterator[Check]:
    """Reach the server, then look for the work pool and the deployments."""
    url = get_current_settings().api.url
    if not url:
        yield ask(SERVER, lambda: ok("PREFECT_API_URL is not set: commands run without a server"), remedy=_REACH)
        yield skipped(POOL, "no server")
        yield skipped(DEPLOYMENTS, "no server")
        return
    server = ask(SERVER, lambda: _reach(url), remedy=_REACH)
    yield server
    if server.outcome is Outcome.FAILED:
        yield skipped(POOL, "the server does not answer")
        yield skipped(DEPLOYMENTS, "the server does not answer")
    else:
        yield ask(POOL, _work_pool, remedy=_REACH)
        yield ask(DEPLOYMENTS, _deployments, remedy=_REACH)


def _client() -> SyncPrefectClient:
    return get_client(httpx_settings={"timeout": 10}, sync_client=True)


def _reach(url: str) -> Answer:
    shown = short_message(url)
    try:
        with _client() as client:
            version = client.api_version()
    except Exception as error:
        if "401" in str(error) or "Unauthorized" in str(error):
            return failed(f"{shown}: 401: it does not accept the credentials", _UNAUTHORISED)
        return failed(f"{shown} does not answer: {short_message(error)}", _REACH)
    if version.split(".")[:2] != prefect.__version__.split(".")[:2]:
        found = f"{shown} is Prefect {version}, here is {prefect.__version__}"
        return warning(found, "install the same version on both sides")
    return ok(f"{shown} answers (Prefect {version})")


def _work_pool() -> Answer:
    with _client() as client:
        try:
            pool = client.read_work_pool(WORK_POOL)
        except ObjectNotFound:
            remedy = (
                f"prefect work-pool create {WORK_POOL} --type process, then prefect worker start --pool {WORK_POOL}"
            )
            return warning(f"there is no work pool {WORK_POOL!r}: deployments do not run", remedy)
    if pool.is_paused:
        return warning(f"{WORK_POOL!r} is paused: deployments do not run", f"prefect work-pool resume {WORK_POOL}")
    if pool.status is None or pool.status.value != "READY":
        remedy = f"prefect worker start --pool {WORK_POOL}"
        return warning(f"{WORK_POOL!r} has no worker online: deployments do not run", remedy)
    return ok(f"{WORK_POOL!r} has a worker online")


def _deployments() -> Answer:
    missing = []
    with _client() as client:
        for name in EXPECTED:
            try:
                client.read_deployment_by_name(name)
            except ObjectNotFound:
                missing.append(name)
    if missing:
        return warning(f"there are no {', '.join(missing)}: they run by hand only", "prefect deploy --all")
    return ok(", ".join(EXPECTED))
