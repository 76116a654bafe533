"""What makes two evaluations the same one."""

import hashlib
import json
from dataclasses import asdict, is_dataclass
from importlib.metadata import version

from case_monitor.domain.evaluation import EvaluationKey
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import OF_CONFUSION, RANDOM, Protocol
from case_monitor.domain.split import Split

FIGURES = 6
"""Raised whenever the same model, images, protocol and policy give another figure or verdict than the release before:
a formula, a default that no setting names, a rule of the verdict. Not for speed, words or pictures. What is stored
under another number is evaluated again, and compared with nothing new."""


def digest(record: object) -> str:
    """SHA-256 of a record's fields, in a canonical form."""
    data = asdict(record) if is_dataclass(record) and not isinstance(record, type) else record
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def protocol_digest(protocol: Protocol) -> str:
    """Of everything beside model, split and policy that makes a figure: the protocol, this code, and torch's."""
    fields = asdict(protocol)
    # There were no such fields, and evidence that is stored is of what they are now.
    since = {"sampling": RANDOM, "label_threshold": 0.5, "label_thresholds": {}}
    since |= {"contrast": OF_CONFUSION, "contrast_threshold": 0.0, "diagnostics": ()}
    fields = {name: value for name, value in fields.items() if name not in since or value != since[name]}
    return digest([fields, FIGURES, version("torch").partition(".")[0]])


def evaluation_key(
    model: ModelVersion, split: Split, baseline: ModelVersion | None, policy: Policy, protocol: Protocol
) -> EvaluationKey:
    """The natural key that an evaluation of these would have: the same key is the same evaluation, run again."""
    return (
        model.name,
        model.version,
        model.digest,
        split.digest,
        protocol_digest(protocol),
        digest(policy),
        baseline.digest if baseline else "",
    )
