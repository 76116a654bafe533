"""MLflow's errors as ours, each of one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from case_monitor.domain.errors import CaseMonitorError, NotFoundError, RegistryError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.registry.answers import PERMANENT


@contextmanager
def one_line(thing: str) -> Iterator[None]:
    """Turn MLflow's errors into a RegistryError of one line, NotFoundError where trying again cannot help."""
    try:
        yield
    except RegistryError as error:
        said = str(error)
        raise type(error)(said if said.startswith(thing) else f"{short_message(thing)}: {said}") from None
    except CaseMonitorError:
        raise
    except (MlflowException, SQLAlchemyError, OSError) as error:
        permanent = getattr(error, "error_code", "") in PERMANENT
        raise (NotFoundError if permanent else RegistryError)(
            f"{short_message(thing)}: {short_message(error)}"
        ) from None
    except Exception as error:  # what MLflow's client makes of an answer that is none: AttributeError, ParseError, ...
        msg = f"{short_message(thing)}: the answer makes no sense: {type(error).__name__}: {short_message(error)}"
        raise RegistryError(msg) from error
