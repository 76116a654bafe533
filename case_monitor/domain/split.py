"""The images that a version is evaluated on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A validation split as one version sees it: in its order of classes, and prepared as it wants.

    Attributes:
        name: for people.
        digest: SHA-256 of images, targets, class names and preprocessing.
        class_names: in the order of the version's logits, or of the classes that these count as.
        size: distinct images.
        images_digest: SHA-256 of the images as stored, whichever version looks at them.
        labels_digest: SHA-256 of the class of each by name.
        field_of_view: what part of an image preprocessing leaves. Maps can be laid over each other where it is equal.
        notes: what is to be said about the images whenever they are the evidence.
        groups: for each logit of the version, as which of the classes it counts; empty: each has its own.
    """

    name: str
    digest: str
    class_names: tuple[str, ...]
    size: int
    images_digest: str = ""
    labels_digest: str = ""
    field_of_view: str = "whole"
    notes: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)
