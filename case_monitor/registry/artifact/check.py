"""One question about a downloaded version: may it be loaded?"""

import os
from dataclasses import dataclass
from pathlib import Path

from case_monitor.domain.errors import CaseMonitorError, ModelError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.registry.artifact.exported import check_exported
from case_monitor.registry.artifact.files import check_files
from case_monitor.registry.artifact.mlmodel import check_mlmodel
from case_monitor.registry.artifact.refusal import Refusal, shown
from case_monitor.registry.artifact.signature import verified_signer
from case_monitor.settings import Settings
from case_monitor.settings.pickles import Pickles

_REMEDIES = {
    "refused": "log it with serialization_format='pt2' and without code_paths (its `pickles` is `refused`)",
    "signed": "have all its files signed with what `signing_key` names (its `pickles` is `signed`)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is asked of a version before it is loaded.

    Attributes:
        pickles: `allowed` asks nothing; `signed` a signature over all files; `refused` an exported program.
        signing_key: a public key, or certificates; None where nothing need be signed.
    """

    pickles: Pickles = "allowed"
    signing_key: Path | None = None

    @classmethod
    def of(cls, settings: Settings, name: str) -> "Trust":
        """What the configuration asks of the versions of one model."""
        return cls(pickles=settings.pickles_of(name), signing_key=settings.signing_key)


ALL_ALLOWED = Trust()


def mlflow_forbids_pickles() -> bool:
    """Whether MLflow was told to load no pickle: no less is meant here."""
    return os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").strip().lower() in {"false", "0"}


def check_artifact(folder: Path, version: ModelVersion, trust: Trust) -> str | None:
    """See that a version may be loaded.

    Args:
        folder: its downloaded files.
        version: what errors name.
        trust: what is asked of it.

    Returns:
        Who signed it; None where no signature was asked for.

    Raises:
        ModelError: it may not; says which file, what was expected, what came, and the remedy.
        ConfigError: the signing key cannot be used.
    """
    asked = trust.pickles
    if asked == "allowed" and mlflow_forbids_pickles():
        asked = "refused"
    if asked == "allowed":
        return None
    remedy = _REMEDIES[asked]
    try:
        if asked == "signed":
            return verified_signer(folder, trust.signing_key)
        check_files(folder)
        check_mlmodel(folder)
        check_exported(folder)
    except CaseMonitorError:
        raise
    except Refusal as found:
        raise ModelError(f"model {version} was not loaded: {found}; {remedy}") from None
    except Exception as error:  # what cannot be understood is not loaded
        said = f"{type(error).__name__}: {shown(str(error))}"
        raise ModelError(f"model {version} was not loaded: its files make no sense: {said}; {remedy}") from error
    return None
