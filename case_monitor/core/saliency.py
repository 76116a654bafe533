"""Where saliency maps were. Their home is `case_monitor.saliency`; what was written for this one goes on working."""

from case_monitor.saliency import *  # noqa: F403 - whatever the new home offers
from case_monitor.saliency import __all__ as __all__
