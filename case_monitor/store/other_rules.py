"""What the rules by another word would have said of a stored evaluation."""

from sqlalchemy import Engine

from case_monitor.domain.policy import RULES_BY_WORD
from case_monitor.judging.other_rules import other_rules
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.summaries import load_some_summaries
from case_monitor.store.stored_policy import stored_policy

_PER_CLASS = {rule.metric for word in RULES_BY_WORD.values() for t in word for rule in t.rules if rule.per_class}


def other_rules_of_stored(engine: Engine, stored: StoredEvaluation) -> str:
    """One line for each word; nothing where this package does not understand the policy that was written."""
    policy = stored_policy(stored.policy)
    if policy is None:
        return ""
    return other_rules(
        stored.model,
        load_some_summaries(engine, stored.id, _PER_CLASS),
        policy,
        baseline=stored.baseline,
        class_names=stored.class_names,
        in_production=stored.in_production,
    )
