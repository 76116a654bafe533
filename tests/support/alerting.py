"""What the tests of alerts share: nights, findings, and a receiver of notices that is a real HTTP server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from pydantic import SecretStr

from case_monitor.alerts.life import EvaluationRun, Scope
from case_monitor.domain.alert import Alert
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy, Rule, Severity, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import ThresholdResult
from tests.support.factories import an_evaluation

FIRST_NIGHT = datetime(2026, 10, 1, 2, tzinfo=UTC)
RECALL = Threshold(metric="recall", per_class=True, limit=0.5, greater_is_better=True, severity=Severity.WARN)
MEDIAN = Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False)


def night(number: int, scope: Scope = Scope.PRODUCTION) -> EvaluationRun:
    """The run of one night; a retry has the same."""
    return EvaluationRun(id=f"run {number}", started_at=FIRST_NIGHT + timedelta(days=number - 1), scope=scope)


def found(
    metric: str = "agreement_median",
    status: Status = Status.FAIL,
    *,
    method: str | None = "case",
    class_idx: int | None = None,
    severity: Severity = Severity.BLOCK,
    limit: float = 0.5,
    observed: float = 0.9,
) -> ThresholdResult:
    rule = Rule(
        metric=metric,
        limit=limit,
        greater_is_better=False,
        method=method and "gate",
        per_class=class_idx is not None,
        severity=severity,
    )
    return ThresholdResult(
        threshold=rule,
        method=method,
        class_idx=class_idx,
        status=status,
        observed=observed,
        ci_low=observed - 0.02,
        ci_high=observed + 0.02,
        n=200,
        reason=f"{observed:.3f} [{observed - 0.02:.3f}, {observed + 0.02:.3f}] against {limit:g}",
    )


def recall(class_idx: int, status: Status = Status.FAIL, severity: Severity = Severity.WARN) -> ThresholdResult:
    return found("recall", status, method=None, class_idx=class_idx, severity=severity, observed=0.3)


def evaluation_with(*results: ThresholdResult, policy: Policy | None = None, **arguments: Any) -> Evaluation:
    """An evaluation with these results, and with the alerts that the gate makes of them.

    Of few images: alerts know of none, and storing scores takes most of the time of a test.
    """
    evaluation = an_evaluation(**{"num_samples": 16} | arguments)
    names = evaluation.split.class_names
    alarming = [r for r in results if r.status is Status.FAIL or (r.status, r.threshold.severity) == INSUFFICIENT_BLOCK]
    return replace(
        evaluation,
        policy=policy or Policy(thresholds=(MEDIAN, RECALL)),
        verdict=replace(evaluation.verdict, results=results),
        alerts=tuple(_alert(r, names) for r in alarming),
    )


INSUFFICIENT_BLOCK = (Status.INSUFFICIENT, Severity.BLOCK)


def _alert(result: ThresholdResult, names: tuple[str, ...]) -> Alert:
    of_class = "" if result.class_idx is None else f" for class {names[result.class_idx]!r}"
    return Alert(
        rule=result.threshold.metric,
        method=result.method,
        class_idx=result.class_idx,
        severity=result.threshold.severity,
        status=result.status,
        observed=result.observed,
        limit=result.threshold.limit,
        message=f"{result.threshold.metric}{of_class}: {result.reason}.",
        advice="Look at the gallery.",
    )


@dataclass
class Receiver:
    """What Apprise's `json://` posts to. `status` is its answer."""

    port: int = 0
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)

    def url(self, path: str = "t0ken") -> SecretStr:
        return SecretStr(f"json://me:s3cret@127.0.0.1:{self.port}/{path}")

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.status == 200:
                receiver.messages.append(json.loads(body))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
