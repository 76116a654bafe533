"""One monitored model: where its validation images lie, what is done to them, what it is judged by."""

from pathlib import Path

from case_monitor.settings.pickles import Pickles
from case_monitor.settings.policy_and_protocol import PolicySettings, ProtocolSettings
from case_monitor.settings.preprocessing import Preprocessing
from case_monitor.settings.splits import SplitSpec
from case_monitor.settings.strict import Strict


class ModelSettings(Strict):
    """One monitored model."""

    split: SplitSpec
    """The validation images."""
    class_names: tuple[str, ...] | None = None
    """In the order of the logits. Needed only where neither the model version nor the data set says."""
    class_map: dict[str, str] | Path | None = None
    """As which class each class of the model counts, where it tells more apart than it is judged by: `{tabby: cat,
    siamese: cat, pug: dog}`, or a YAML file with these lines. Images may be of the model's classes or of the others."""
    preprocessing: Preprocessing | None = None
    """Needed only where the model version was logged without it."""
    policy: PolicySettings | None = None
    """Replaces the general policy for this model."""
    protocol: ProtocolSettings | None = None
    """Replaces the general protocol for this model."""
    pickles: Pickles | None = None
    """Replaces the general setting for this model."""
