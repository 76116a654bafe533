"""Configuration: `case-monitor.yaml`, overridden by environment variables `CASE_MONITOR_*`.

Every field is documented where it is declared; a wrong field is an error with its path. Relative paths, also those
in `sqlite:///` URLs, are relative to the configuration file, so a check gives the same result from any directory.
"""

from case_monitor.settings.class_map import read_class_map
from case_monitor.settings.isolation import IsolationSettings
from case_monitor.settings.load import load_settings
from case_monitor.settings.model_settings import ModelSettings
from case_monitor.settings.preprocessing import Preprocessing
from case_monitor.settings.splits import (
    ArtifactSplit,
    CifarSplit,
    FetchedSplit,
    FunctionSplit,
    HuggingfaceSplit,
    ImageFolderSplit,
    ImagenetSplit,
    NpzSplit,
    SplitSpec,
    TableSplit,
    WebdatasetSplit,
    declares_subset,
)
from case_monitor.settings.top_level import Settings
from case_monitor.settings.web_access import TrustedProxy
from case_monitor.settings.workers import EngineSpec, RayEngine, ThreadsEngine

__all__ = [
    "ArtifactSplit",
    "CifarSplit",
    "EngineSpec",
    "FetchedSplit",
    "FunctionSplit",
    "HuggingfaceSplit",
    "ImageFolderSplit",
    "ImagenetSplit",
    "IsolationSettings",
    "ModelSettings",
    "NpzSplit",
    "Preprocessing",
    "RayEngine",
    "Settings",
    "SplitSpec",
    "TableSplit",
    "ThreadsEngine",
    "TrustedProxy",
    "WebdatasetSplit",
    "declares_subset",
    "load_settings",
    "read_class_map",
]
