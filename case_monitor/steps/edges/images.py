"""Reading the validation split."""

from case_monitor.dataset import RawSplit, load_split
from case_monitor.settings import Settings, SplitSpec
from case_monitor.steps.edges.registry import open_registry
from case_monitor.steps.running import step


@step("fetch-split", retried=True)
def fetch_split(settings: Settings, spec: SplitSpec) -> RawSplit:
    """Read the validation split."""
    open_registry(settings)  # an MLflow artifact is downloaded from the configured server
    return load_split(spec)
