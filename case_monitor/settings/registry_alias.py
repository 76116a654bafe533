"""The alias, by MLflow's rules: it refuses a wrong one only when the alias is to move, after a whole evaluation.

They are written again here because importing MLflow takes seconds.
"""

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

MAX_ALIAS_LENGTH = 255
_ALIAS = re.compile(r"[\w-]+")
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
_EXPECTED = (
    f"letters, digits, _ and -, at most {MAX_ALIAS_LENGTH} of them, and neither latest nor a version such as v1, "
    "which MLflow reserves, were expected"
)


def _known_to_mlflow(alias: str) -> str:
    if not _ALIAS.fullmatch(alias) or len(alias) > MAX_ALIAS_LENGTH or _RESERVED.fullmatch(alias):
        raise PydanticCustomError("alias", _EXPECTED)
    return alias


RegistryAlias = Annotated[str, AfterValidator(_known_to_mlflow)]
