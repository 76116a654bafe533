"""Whether a version may be judged as a first one, without a comparison: only where none is known to have come before.

An alias that somebody deleted, or a registry that lost it, would otherwise be a way round the comparison.
"""

from sqlalchemy import Engine

from case_monitor.domain.errors import ConfigError, LostAliasError
from case_monitor.store.read.champions import last_champion


def check_first(engine: Engine, alias: str, name: str, version: int, holder: int | None, *, first: bool) -> None:
    """Refuse where it may not.

    Args:
        engine: the results database.
        alias: of the version in production.
        name, version: what is to be judged.
        holder: the version that has the alias.
        first: a person says that it is a first one.

    Raises:
        ConfigError: it is none: another holds the alias.
        LostAliasError: a version is known to have held it.
    """
    if first and holder not in {None, version}:
        msg = (
            f"--first: no version was expected to hold alias {alias} of {name}, version {holder} does: leave it out, "
            "and they are compared"
        )
        raise ConfigError(msg)
    if holder is None and not first:
        require_never_held(engine, alias, name)


def require_never_held(engine: Engine, alias: str, name: str) -> None:
    """See that nothing stored knows of a version that held the alias.

    Raises:
        LostAliasError: one did; says which, and what to do.
    """
    known = last_champion(engine, name, alias)
    if known is not None:
        version, when = known
        msg = (
            f"alias {alias} of {name}: no version holds it, and version {version} did on {when:%Y-%m-%d at %H:%M} UTC; "
            f"give it back to that version in MLflow, or have one judged as the first, without a comparison: --first"
        )
        raise LostAliasError(msg)
