"""What a model's process can say went wrong."""

from collections.abc import Mapping

from case_monitor.domain.errors import CaseMonitorError, ConfigError, ModelError, TargetLayerError

ERRORS: Mapping[str, type[CaseMonitorError]] = {
    "config": ConfigError,
    "target layer": TargetLayerError,
    "model": ModelError,
}
