"""`case-monitor doctor`: looks at everything that a check needs, and says the remedy for what is wrong."""

from case_monitor.doctor.check import Check, Outcome
from case_monitor.doctor.examine import examine

__all__ = ["Check", "Outcome", "examine"]
