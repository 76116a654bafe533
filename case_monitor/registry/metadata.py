"""What is logged with a model about its classes, its images and its layer."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from case_monitor.settings import Preprocessing

METADATA_KEY = "case_monitor"


class Metadata(BaseModel):
    """What `model_metadata` wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    class_names: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    target_layer: str | None = None


def model_metadata(
    *,
    class_names: tuple[str, ...] | None = None,
    preprocessing: Preprocessing | Mapping[str, object] | None = None,
    target_layer: str | None = None,
) -> dict[str, object]:
    """What to pass as `metadata` to `mlflow.pytorch.log_model`, so that checks need no configuration for it.

    Example:
        >>> model_metadata(class_names=("cat", "dog"), preprocessing={"mean": [0.5], "std": [0.5]})["case_monitor"]
        {'class_names': ['cat', 'dog'], 'preprocessing': {'mean': [0.5], 'std': [0.5]}}
    """
    content: dict[str, object] = {}
    if class_names is not None:
        content["class_names"] = list(class_names)
    if preprocessing is not None:
        checked = Preprocessing.model_validate(preprocessing)
        content["preprocessing"] = checked.model_dump(mode="json", exclude_unset=True)
    if target_layer is not None:
        content["target_layer"] = target_layer
    return {METADATA_KEY: content}
