"""Whether the files of a version may be loaded at all, asked before any loader sees them.

Nothing of a version is run, unpickled or imported here, and neither torch nor MLflow is. The child in which a model
runs stays the boundary: this is what keeps most code from ever getting there.
"""

from case_monitor.registry.artifact.check import ALL_ALLOWED, Trust, check_artifact

__all__ = ["ALL_ALLOWED", "Trust", "check_artifact"]
