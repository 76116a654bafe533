"""Splits stored as MLflow artifacts."""

import shutil
import tempfile
import weakref
from pathlib import Path

from case_monitor.dataset.image_folder import read_image_folder
from case_monitor.dataset.npz import read_npz
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.errors import CaseMonitorError, DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import ArtifactSplit


def read_artifact(spec: ArtifactSplit) -> RawSplit:
    """Download a split and read it; the copy is removed with the images."""
    import mlflow  # takes seconds, which each process that reads images would spend

    directory = tempfile.mkdtemp(prefix="case-monitor-")
    try:
        try:
            path = Path(mlflow.artifacts.download_artifacts(spec.uri, dst_path=directory))
        except Exception as error:
            msg = f"split: the MLflow artifact {short_message(spec.uri)} cannot be downloaded: {short_message(error)}"
            raise DataError(msg) from None
        raw = read_image_folder(path) if spec.format == "image_folder" else read_npz(path)
    except CaseMonitorError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    weakref.finalize(raw.images, shutil.rmtree, directory, ignore_errors=True)  # a folder's images are read later
    return raw
