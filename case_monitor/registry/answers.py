"""What the model registry answers, taken for no more than it says: no answer is not "there is none"."""

from typing import Any

from mlflow.exceptions import MlflowException

from case_monitor.domain.errors import RegistryError

PERMANENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}


def version_named(answer: Any, name: str, version: int | None = None) -> int:
    """The number of the version that an answer is about.

    Raises:
        RegistryError: it is not about a version of this model, or about another than `version`.
    """
    require_named(answer, name)
    came = str(answer.version)
    if not (came.isascii() and came.isdigit() and int(came) > 0) or version not in {None, int(came)}:
        expected = "a version" if version is None else f"version {version}"
        raise RegistryError(f"an answer about {expected} was expected from the registry, {came[:50]!r} came")
    return int(came)


def require_named(answer: Any, name: str) -> None:
    """See that an answer is about this model."""
    if answer.name != name:
        raise RegistryError(f"an answer about {name!r} was expected from the registry, one about {answer.name!r} came")


def says_no_alias(error: MlflowException, alias: str) -> bool:
    """Whether the registry says that it knows no such alias, and not only that something went wrong."""
    return error.error_code in PERMANENT and _says(error, f"Registered model alias {alias} not found")


def says_no_model(error: MlflowException, name: str) -> bool:
    """The same of a model."""
    return error.error_code in PERMANENT and _says(error, f"Registered Model with name={name} not found")


def _says(error: MlflowException, words: str) -> bool:
    # Over HTTP, the code stands before what the server says.
    return str(error).removeprefix(f"{error.error_code}: ").removesuffix(".") == words
