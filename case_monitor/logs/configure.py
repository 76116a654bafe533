"""Logs: no secret in any, whoever writes them, and on demand one JSON object per line on standard error."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from case_monitor.domain.errors import ConfigError
from case_monitor.logs.masking import masked

FORMAT_VARIABLE = "CASE_MONITOR_LOG_FORMAT"
FIELDS = ("model", "version", "evaluation_id", "flow_run_id")

_TOLD_ANYWAY = "mlflow.store.db.utils"
"""Logs with a traceback what it raises, which is then told in one line."""

_about: ContextVar[dict[str, object] | None] = ContextVar("case_monitor_log_about", default=None)
_exceptions = logging.Formatter()


@contextmanager
def logging_about(**fields: object) -> Iterator[None]:
    """Name in all logs inside the block what they are about: any of `FIELDS`; what is None is left out."""
    known = {name: value for name, value in fields.items() if value is not None}
    token = _about.set({**(_about.get() or {}), **known})
    try:
        yield
    finally:
        _about.reset(token)


def configure_logs() -> None:
    """Set up this process's logs; a second call changes nothing.

    Raises:
        ConfigError: CASE_MONITOR_LOG_FORMAT is neither `text` nor `json`.
    """
    chosen = os.environ.get(FORMAT_VARIABLE) or "text"
    if chosen not in {"text", "json"}:
        msg = f"{FORMAT_VARIABLE}: text or json was expected, {chosen!r} came"
        raise ConfigError(msg)
    logging.getLogger(_TOLD_ANYWAY).setLevel(logging.CRITICAL)
    if not isinstance(logging.getLogRecordFactory(), _MaskingFactory):
        logging.setLogRecordFactory(_MaskingFactory())
    if chosen == "json":
        _write_json()


def show_all_logs() -> None:
    """Show what case_monitor logs, down to the details, also where no library sets up logs."""
    logging.getLogger("case_monitor").setLevel(logging.DEBUG)
    logging.getLogger(_TOLD_ANYWAY).setLevel(logging.NOTSET)
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_TextHandler())


def are_json() -> bool:
    """Whether this process writes its logs for machines."""
    return any(isinstance(handler, JsonHandler) for handler in logging.getLogger().handlers)


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, message, what it is about, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        about = {**getattr(record, "about", {}), **{n: getattr(record, n) for n in FIELDS if hasattr(record, n)}}
        content = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            **{name: about[name] for name in FIELDS if about.get(name) not in {None, "<unknown>"}},
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = masked(self.formatException(record.exc_info))
        if record.exc_text:
            content["exception"] = record.exc_text
        return json.dumps(content, default=str, allow_nan=False)


class _TextHandler(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at that moment. Prefect replaces one whose name is private by its own."""

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(formatter or logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class JsonHandler(_TextHandler):
    """As it has a formatter, Prefect leaves the root's handlers."""

    def __init__(self) -> None:
        super().__init__(JsonFormatter())


class _MaskingFactory:
    """Makes every record of the process without secrets.

    A filter would see the records of one logger or of one handler only. Prefect and MLflow bring their own of both, and
    one of Prefect's sends them to its server.
    """

    def __init__(self) -> None:
        self._make = logging.getLogRecordFactory()

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        about = _about.get()
        if about:
            record.about = about
        _mask_message(record)
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = masked(_exceptions.formatException(record.exc_info))  # formatters take it as it is
        if record.stack_info:
            record.stack_info = masked(record.stack_info)
        return record


def _mask_message(record: logging.LogRecord) -> None:
    if isinstance(record.args, tuple):  # each by itself, because uvicorn's formatter asks for all five
        record.args = tuple(masked(item) if isinstance(item, str) else item for item in record.args)
    try:
        message = record.getMessage()
    except Exception:  # a wrong format should cost nobody the log
        record.msg, record.args = masked(f"{record.msg} {record.args}"), ()
        return
    without = masked(message)
    if without != message:
        record.msg, record.args = without, ()


def _write_json() -> None:
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")  # MLflow's loggers would keep handlers of their own
    logging.captureWarnings(True)
    root = logging.getLogger()
    if not are_json():
        root.addHandler(JsonHandler())
    _silence_terminals(root)
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            _silence_terminals(logger)
    ours = logging.getLogger("case_monitor")
    ours.setLevel(min(ours.level or logging.INFO, logging.INFO))


def _silence_terminals(logger: logging.Logger) -> None:
    """Let what would be written to the terminal in another form go up to the root instead."""
    for handler in list(logger.handlers):
        # Prefect's handler writes to a console of Rich's, whatever its stream is.
        terminal = _is_terminal(getattr(handler, "stream", None)) or type(handler).__name__ == "PrefectConsoleHandler"
        if terminal and not isinstance(handler, JsonHandler):
            logger.removeHandler(handler)
            logger.propagate = True


def _is_terminal(stream: object) -> bool:
    """MLflow wraps standard error in a stream of its own."""
    standard = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return stream in standard or type(stream).__module__.startswith("mlflow.")
