"""The errors a user can cause or meet. Each message names the thing, what was expected and what came."""


class CaseMonitorError(Exception):
    """Base of every error this package raises on purpose; the CLI prints it as one line and exits 2."""


class ConfigError(CaseMonitorError):
    """The configuration file, an environment variable or a command-line argument is wrong."""


class DataError(CaseMonitorError):
    """The validation split cannot be read, or contradicts the model."""


class ModelError(CaseMonitorError):
    """The registered model is missing, does not load, or does not behave like an image classifier."""


class TargetLayerError(ModelError):
    """The target layer does not exist, is not reached, or has no spatial output."""


class RegistryError(CaseMonitorError):
    """The MLflow server or database refused or could not be reached."""


class NotFoundError(RegistryError):
    """The registry answered that there is no such thing: trying again will not help."""


class StoreError(CaseMonitorError):
    """The results database is missing, outdated or refused a write."""


class ForeignDatabaseError(StoreError):
    """What should be the results database is another program's."""


class ClosedAlertError(StoreError):
    """There is no such alert, or it is resolved."""


class LiveClaimError(StoreError):
    """Somebody works on it."""


class OrchestrationError(CaseMonitorError):
    """The Prefect server could not be reached, or refused."""


class StaleEvidenceError(CaseMonitorError):
    """The registry changed between the evaluation and the promotion that it should justify."""


class LostAliasError(CaseMonitorError):
    """No version holds the alias though one is known to have had it: there is nothing to compare with."""


class EngineError(CaseMonitorError):
    """Workers on other processes or machines were lost, or cannot be had."""


class ConfinementError(CaseMonitorError):
    """A process could not be shut in as the kernel says that it can, so no model may run in it."""


class IncompleteError(CaseMonitorError):
    """Some of several checks could not run; the others did."""


def expect(condition: bool, field: str, expected: str, came: object) -> None:
    """Raise ValueError, which pydantic turns into an error that names the setting."""
    if not condition:
        msg = f"{field}: {expected} was expected, {came!r} came"
        raise ValueError(msg)
