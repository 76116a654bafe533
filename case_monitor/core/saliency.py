"""Where saliency maps were until release 0.2: `case_monitor.saliency` is their home now."""

from case_monitor.saliency import *  # noqa: F403
from case_monitor.saliency import __all__ as __all__
