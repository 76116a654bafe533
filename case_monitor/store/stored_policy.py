"""The policy that a stored evaluation was judged by, as this package understands it."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from case_monitor.domain.policy import Policy

_POLICY = TypeAdapter(Policy)


def stored_policy(written: Mapping[str, object]) -> Policy | None:
    """None where another version of the package wrote what this one does not take."""
    try:
        return _POLICY.validate_python(dict(written))
    except ValidationError:
        return None
