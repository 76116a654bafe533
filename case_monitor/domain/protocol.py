"""How explanations are measured: the settings that change a number."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from case_monitor.domain.errors import expect

TOP_FRACTION = 0.05
"""Share of an image's pixels that counts as what a map points at."""
DEFAULT_SHARD_SIZE = 2048
"""Images of a split that are worked on at once. No number depends on it."""


FILLS = ("mean", "blur")
"""What can replace pixels."""
RANDOM, STRATIFIED = SAMPLINGS = ("random", "stratified")
"""How images to explain are drawn."""
OF_CONFUSION, OF_IMAGE = CONTRASTS = ("confusion", "image")
"""What a class can be contrasted with."""
AUTO, LOGITS, SOFTMAX, SIGMOID = OUTPUTS = ("auto", "logits", "softmax", "sigmoid")
"""What a model can return."""


def drop_suffix(area: float, fill: str) -> str:
    """How a fidelity metric names its area and fill: (0.5, "mean") -> "50", (0.05, "blur") -> "5_blur"."""
    percent = f"{100 * area:g}"
    return percent if fill == "mean" else f"{percent}_{fill}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How explanations are measured: everything beside model, split and policy that changes a number."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - read by pydantic

    methods: tuple[str, ...] = ("case", "gradcam", "gradcam++", "scorecam", "ablationcam", "layercam")
    """Saliency methods to evaluate. Available too: `case_soft`, `case_full`, `case_subspace`, `gradcam_log`,
    `finercam`, `hirescam`, `reciprocam`, `occlusion` (docs/method.md)."""
    target_layer: str = "auto"
    """Dotted name of the module to explain, as `name@1` its second call, as `name[key]` an entry of its output; `auto`
    is the last one with spatial output before pooling."""
    output_key: str | int | None = None
    """Which entry of the model's output holds the logits, where it is a tuple or a dict without one named `logits`."""
    outputs: str = AUTO
    """What the model returns: `logits`, or probabilities by `softmax` or `sigmoid`, of which the logits are taken back;
    `auto` tells logits from softmax. One column is the second of two classes."""
    sample_size: int = 500
    """Images drawn from the split; the correctly classified ones are explained."""
    sampling: str = RANDOM
    """How they are drawn: `random`, or `stratified`, as equal a number of each class as there are images of it: figures
    of all images then weigh classes alike."""
    contrast_k: int = 3
    """Size of a contrast set."""
    contrast: str = OF_CONFUSION
    """What CASE and Finer-CAM contrast a class with: `confusion`, the classes that the validation split shows it to be
    taken for, or `image`, those of each image's own highest other logits."""
    contrast_threshold: float = 0.0
    """Leave out of contrast sets the classes whose mean probability, on images of the class, is below this."""
    observed_only: bool = False
    """Use only classes that were in fact confused; never fill a contrast set by soft confusion."""
    label_threshold: float = 0.5
    """Where images are of several classes: the probability from which the model says yes to one (`label_precision`,
    `label_recall`)."""
    label_thresholds: Mapping[str, float] = field(default_factory=dict)
    """The same of some classes, by name, which have one of their own."""
    areas: tuple[float, ...] = (0.5, 0.05)
    """Fractions of the pixels replaced in the fidelity test."""
    fills: tuple[str, ...] = ("mean",)
    """What replaces them: `mean` (0 in normalised space) or `blur`."""
    diagnostics: tuple[str, ...] = ()
    """Published tests of maps beside them: `deletion`, `insertion`, `morf_lerf`, `road`, `average_drop`, `infidelity`,
    `max_sensitivity`, `lowest_class`, `mprt`, `emprt`; and `localisation`, where the split has `objects`
    (docs/method.md, and their cost in docs/performance.md)."""
    activity_threshold: float = 0.001
    """Tau: a channel is active when its pooled activation exceeds this (paper, eq. 10)."""
    batch_size: int | None = None
    """Images per forward pass; omitted, as many as the device's memory takes well. Changes numbers only as
    rounding does (docs/method.md)."""
    amp: bool = False
    """Run Score-CAM's masked images in bfloat16: faster, and rankings change a little (docs/performance.md)."""
    compile: bool = False
    """Compile the model for Score-CAM's masked images: half a minute of preparation, and a C++ compiler on the CPU. Not
    where models are confined: a compiler needs processes of its own."""
    seed: int = 0
    """Of sampling, random maps and bootstrap."""

    def __post_init__(self) -> None:
        expect(self.outputs in OUTPUTS, "outputs", f"one of {', '.join(OUTPUTS)}", self.outputs)
        expect(self.sampling in SAMPLINGS, "sampling", f"one of {', '.join(SAMPLINGS)}", self.sampling)
        expect(self.sample_size >= 1, "sample_size", "1 or more", self.sample_size)
        expect(self.contrast_k >= 0, "contrast_k", "0 or more", self.contrast_k)
        expect(self.contrast in CONTRASTS, "contrast", f"one of {', '.join(CONTRASTS)}", self.contrast)
        threshold = self.contrast_threshold
        expect(0 <= threshold < 1, "contrast_threshold", "a probability of 0 or more and below 1", threshold)
        own = {f"label_thresholds.{name}": value for name, value in self.label_thresholds.items()}
        for name, value in ({"label_threshold": self.label_threshold} | own).items():
            expect(0 < value < 1, name, "a probability above 0 and below 1", value)
        expect(self.batch_size is None or self.batch_size >= 1, "batch_size", "1 or more", self.batch_size)
        expect(self.seed >= 0, "seed", "0 or more", self.seed)
        expect(self.activity_threshold >= 0, "activity_threshold", "0 or more", self.activity_threshold)
        expect(all(0 < area <= 1 for area in self.areas), "areas", "fractions above 0 and up to 1", self.areas)
        expect(set(self.fills) <= set(FILLS), "fills", "some of mean, blur", self.fills)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How metrics name each area and fill of the fidelity test."""
        return tuple(drop_suffix(area, fill) for area in self.areas for fill in self.fills)
