"""Settings of which no field is unknown, and each is documented where it stands."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Refuses fields that it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
