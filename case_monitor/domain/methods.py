"""The catalogue of saliency methods: one row for each."""

from dataclasses import dataclass

from case_monitor.domain.protocol import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A saliency method.

    Attributes:
        name: in configurations and tables.
        title: as its authors write it.
        by_gradients: its maps cost one forward and one short backward pass, however many channels there are.
    """

    name: str
    title: str
    by_gradients: bool = True


METHODS = {
    method.name: method
    for method in (
        Method(name="case", title="CASE"),
        Method(name="case_full", title="CASE (full gradient)"),
        Method(name="case_soft", title="CASE (soft)"),
        Method(name="case_subspace", title="CASE (subspace)"),
        Method(name="gradcam", title="Grad-CAM"),
        Method(name="gradcam++", title="Grad-CAM++"),
        Method(name="layercam", title="LayerCAM"),
        Method(name="hirescam", title="HiResCAM"),
        Method(name="scorecam", title="Score-CAM", by_gradients=False),
        Method(name="ablationcam", title="Ablation-CAM", by_gradients=False),
    )
}


def method_title(method: str) -> str:
    """The method's name as its authors write it."""
    return METHODS[method].title if method in METHODS else method


def drift_methods(protocol: Protocol) -> tuple[str, ...]:
    """The methods whose maps two versions are compared by: those that cost one forward pass."""
    return tuple(method for method in protocol.methods if METHODS[method].by_gradients)
