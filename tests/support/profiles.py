"""How many examples Hypothesis draws: all that a test asks for, or a tenth of them (`--hypothesis-profile fast`)."""

from hypothesis import settings

_THOROUGH = 100
settings.register_profile("thorough", deadline=None, max_examples=_THOROUGH)
settings.register_profile("fast", deadline=None, max_examples=_THOROUGH // 10)
settings.load_profile("thorough")


def examples(count: int) -> settings:
    """In place of `settings(max_examples=count)`, which would hold in every profile."""
    return settings(max_examples=max(1, count * settings().max_examples // _THOROUGH))
