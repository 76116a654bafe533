"""Published tests of maps, each measured where the protocol names it; docs/method.md says what they ask."""

from case_monitor.measuring.diagnostics.diagnose import Diagnosed, diagnose
from case_monitor.measuring.diagnostics.shuffled_weights import ShuffledWeights
from case_monitor.measuring.diagnostics.subject import Subject

__all__ = ["Diagnosed", "ShuffledWeights", "Subject", "diagnose"]
