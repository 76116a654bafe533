"""Which layer of a version to explain: measured on a few images, and nothing is stored."""

from collections.abc import Sequence

from case_monitor.domain.model_ref import ModelRef
from case_monitor.judging.layer_advice import LayerAdvice, advise_layer
from case_monitor.logs.configure import logging_about
from case_monitor.registry.reconcile import with_target_layer
from case_monitor.steps.begin import begin
from case_monitor.steps.bench import open_bench
from case_monitor.steps.edges.registry import resolve_model
from case_monitor.steps.inputs import gather_alone
from case_monitor.steps.requests import EvaluationRequest


def layers_of(request: EvaluationRequest, names: Sequence[str], images: int) -> LayerAdvice:
    """Fetch a version and explain it at several layers.

    Args:
        request: The version, and the configuration.
        names: Of layers; none: some that it has.
        images: To explain at most.
    """
    settings, ref = begin(request.config), ModelRef.parse(request.model)
    settings.model(ref.name)
    with logging_about(model=ref.name):
        ref = ModelRef(ref.name, version=resolve_model(settings, ref))
        inputs = gather_alone(settings, ref)
        protocol = with_target_layer(inputs.protocol, inputs.candidate.registered)
        with open_bench(inputs, f"layers of {ref}") as bench:
            subject = bench.subject(inputs.candidate)
            return advise_layer(subject, names, protocol, inputs.policy, images=images)
