"""`db prune`: delete, and say how much."""

from datetime import datetime
from pathlib import Path

from case_monitor.cli.standard_output import results_console
from case_monitor.settings import load_settings
from case_monitor.store.open import open_store
from case_monitor.store.write.prune import prune_alerts, prune_scores


def run_prune(
    config: Path | None, *, scores_before: datetime | None, alerts_before: datetime | None, dry_run: bool
) -> None:
    """Delete what is older than that; None deletes nothing of the kind."""
    deleted = "Would delete" if dry_run else "Deleted"
    console = results_console()
    engine = open_store(load_settings(config).database_url.get_secret_value())
    try:
        if scores_before:
            found = prune_scores(engine, scores_before, dry_run=dry_run)
            console.print(
                f"{deleted} {found.scores} scores and {found.pictures} pictures of {found.images} images "
                f"of {found.evaluations} evaluations saved before {_time(scores_before)}.",
                highlight=False,
                soft_wrap=True,
            )
        if alerts_before:
            count = prune_alerts(engine, alerts_before, dry_run=dry_run)
            console.print(
                f"{deleted} {count} alerts resolved before {_time(alerts_before)}.", highlight=False, soft_wrap=True
            )
    finally:
        engine.dispose()


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
