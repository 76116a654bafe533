"""Logging a network as any team would: with its classes, its preprocessing and its signature, and registering it."""

from collections.abc import Sequence

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec
from torch import nn

from case_monitor.evidence.mlflow_run import local_artifacts
from case_monitor.registry import model_metadata
from case_monitor.registry.seed_group import SEED_GROUP_TAG
from case_monitor.settings import Preprocessing

_MADE_FROM = "case_monitor_made_from"


def log_model(
    model: nn.Module,
    name: str,
    *,
    tracking_uri: str,
    input_shape: Sequence[int],
    num_classes: int,
    class_names: tuple[str, ...] | None,
    preprocessing: Preprocessing,
    source: str = "",
    seed_group: str = "",
    pip_requirements: Sequence[str] = ("case-monitor", "torch"),
) -> int:
    """Register the next version of a model.

    Args:
        model: the network, in evaluation mode.
        name: under which to register it; its run is in the experiment `<name>-training`.
        tracking_uri: of MLflow.
        input_shape: (C, H, W) as it takes images.
        num_classes: how many logits it returns.
        class_names: in their order; None: those of the data set.
        preprocessing: what it was trained with.
        source: whatever says which network it is, for `made_from` to read.
        seed_group: the study of seeds that it belongs to; empty: none.
        pip_requirements: what its pickle needs.

    Returns:
        The version.
    """
    experiment = f"{name}-training"
    client = MlflowClient(tracking_uri)
    if client.get_experiment_by_name(experiment) is None:
        client.create_experiment(experiment, artifact_location=local_artifacts(tracking_uri, experiment))
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    number = np.dtype(np.float32)
    metadata = model_metadata(class_names=class_names, preprocessing=preprocessing.model_dump(exclude_unset=True))
    with mlflow.start_run():
        logged = mlflow.pytorch.log_model(
            model,
            name="model",
            registered_model_name=name,
            serialization_format="pickle",
            signature=ModelSignature(
                inputs=Schema([TensorSpec(number, (-1, *input_shape))]),
                outputs=Schema([TensorSpec(number, (-1, num_classes))]),
            ),
            metadata=metadata | ({_MADE_FROM: source} if source else {}),
            pip_requirements=list(pip_requirements),
        )
    version = int(logged.registered_model_version)
    if seed_group:
        client.set_model_version_tag(name, str(version), SEED_GROUP_TAG, seed_group)
    return version


def made_from(name: str, version: int, tracking_uri: str) -> str:
    """What `log_model` was told of a version; empty: nothing."""
    mlflow.set_tracking_uri(tracking_uri)
    found = mlflow.models.get_model_info(f"models:/{name}/{version}").metadata or {}
    return str(found.get(_MADE_FROM, ""))
