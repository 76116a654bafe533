"""Splits that are stored elsewhere: who may ask for them downloads them, and they are read like any other."""

import shutil
import tempfile
from pathlib import Path

from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.measuring_process.place import OpenedSplit, Place
from case_monitor.registry.fetched_files import fetch
from case_monitor.settings import ArtifactSplit, FetchedSplit, SplitSpec


def open_split(place: Place, spec: SplitSpec) -> OpenedSplit:
    """Have a split read; what was downloaded for it is removed with the images.

    Raises:
        DataError: it cannot be downloaded, or what is there is not what the spec says.
    """
    if not isinstance(spec, ArtifactSplit | FetchedSplit):
        return place.open_split(spec)
    folder = Path(tempfile.mkdtemp(prefix="case-monitor-"))
    try:
        there = _downloaded(spec, folder) if isinstance(spec, ArtifactSplit) else fetch(spec.url, folder)
        opened = place.open_split(spec.inside(there))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    opened.owns(folder)
    return opened


def _downloaded(spec: ArtifactSplit, folder: Path) -> Path:
    import mlflow  # takes seconds, which who needs no artifact would spend

    try:
        return Path(mlflow.artifacts.download_artifacts(spec.uri, dst_path=str(folder)))
    except Exception as error:
        msg = f"split: the MLflow artifact {short_message(spec.uri)} cannot be downloaded: {short_message(error)}"
        raise DataError(msg) from None
