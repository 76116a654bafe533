"""What Prefect stores of a run that failed: everybody who sees its runs can read it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prefect import flow, get_client, task
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterFlowRunId
from prefect.runtime import flow_run

from case_monitor.domain.errors import CaseMonitorError, DataError
from case_monitor.steps.evaluate import evaluate_version
from case_monitor.steps.masked_errors import masking_errors
from case_monitor.steps.requests import EvaluationRequest
from tests.integration.test_cli import CONFIG

TOKEN = "s3cret-t0ken-of-the-registry"
SPLIT = """
import os
def images():
    raise PermissionError(f"no access with {os.environ['MLFLOW_TRACKING_TOKEN']}")
"""


def stored_messages(name: str) -> list[str]:
    """The messages of the states of all flow and task runs, those of the runs of this name."""
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if run.name == name]
        tasks = client.read_task_runs(
            task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run.id for run in runs])),
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id for run in runs])),
        )
        return [run.state.message or "" for run in (*runs, *tasks) if run.state]


@pytest.mark.usefixtures("prefect_server")
def test_a_secret_in_an_error_is_not_stored(
    demo_copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    (tmp_path / "split_of_theirs.py").write_text(SPLIT)
    monkeypatch.syspath_prepend(tmp_path)
    config = demo_copy(
        CONFIG.replace("{{kind: npz, path: {split}}}", "{{kind: function, function: split_of_theirs:images}}")
    )
    with pytest.raises(DataError, match=r"no access with \*\*\*"):
        evaluate_version(EvaluationRequest(model="digits/2", config=str(config)))
    told = [message for message in stored_messages("evaluate digits/2") if "no access with" in message]
    assert len(told) >= 2  # the task's and the flow's
    assert all(TOKEN not in message for message in told)


@pytest.mark.usefixtures("prefect_server")
def test_errors_that_nobody_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)

    @task(name="unexpected")
    @masking_errors
    def unexpected(images: int) -> None:
        raise RuntimeError(f"{TOKEN} refused {images} images", images)

    @flow(name="unexpected", flow_run_name="unexpected")
    def run() -> None:
        assert flow_run.id
        unexpected(images=3)

    with pytest.raises(RuntimeError) as raised:
        run()
    assert raised.value.args == ("*** refused 3 images", 3)
    messages = stored_messages("unexpected")
    assert len(messages) == 2
    assert all("*** refused 3 images" in message for message in messages)


def test_errors_that_are_more_than_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)

    @masking_errors
    def read(name: str) -> None:
        raise PermissionError(13, "denied", name)

    with pytest.raises(CaseMonitorError) as raised:
        read(f"/models/{TOKEN}/weights")
    assert str(raised.value) == "PermissionError: [Errno 13] denied: '/models/***/weights'"
    assert raised.value.__suppress_context__
    with pytest.raises(PermissionError, match="/models/weights"):
        read("/models/weights")
