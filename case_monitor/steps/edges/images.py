"""Reading the validation split."""

from case_monitor.measuring_process.place import OpenedSplit, Place
from case_monitor.registry.split_artifact import open_split
from case_monitor.settings import Settings, SplitSpec
from case_monitor.steps.edges.registry import open_registry
from case_monitor.steps.running import step


@step("fetch-split", retried=True)
def fetch_split(settings: Settings, spec: SplitSpec, place: Place) -> OpenedSplit:
    """Have the validation split read."""
    open_registry(settings)  # an MLflow artifact is downloaded from the configured server
    return open_split(place, spec)
