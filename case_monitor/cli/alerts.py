"""`alerts`: what is open, since when, and who knows about it."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from rich.text import Text

from case_monitor.alerts.notice import plain
from case_monitor.cli.opened_store import opened_store
from case_monitor.cli.say import print_json, say
from case_monitor.cli.standard_output import results_console
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.methods import method_title
from case_monitor.store import write
from case_monitor.store.read.alerts import StoredAlert, load_alert_lives


def list_alerts(config: Path | None, model: str | None, *, resolved: bool, as_json: bool = False) -> None:
    """Print the alerts, the newest first."""
    with opened_store(config) as engine:
        alerts = load_alert_lives(engine, model, resolved=resolved)
    if as_json:
        print_json([_as_dict(alert) for alert in alerts])
        return
    console = results_console()
    for alert in alerts:
        console.print(_heading(alert), soft_wrap=True)
        console.print(Text(f"   {plain(alert.message)}"), soft_wrap=True)
        console.print(Text(f"   {plain(alert.advice)}", style="italic"), soft_wrap=True)
    if not alerts:
        console.print("No alerts." if resolved else "No open alerts.", highlight=False)


def acknowledge(config: Path | None, alert_id: int, by: str) -> None:
    """Note who looks after an alert."""
    with opened_store(config) as engine:
        write.acknowledge(engine, alert_id, by)
    say(f"Alert {alert_id}: {plain(by)} looks after it.")


def mute(config: Path | None, alert_id: int, until: datetime, reason: str, by: str) -> None:
    """Keep an alert quiet until a time in UTC."""
    until = until.replace(tzinfo=UTC)
    if until <= datetime.now(UTC):
        msg = f"--until: a time in the future was expected, {until:%Y-%m-%d %H:%M} UTC came"
        raise ConfigError(msg)
    with opened_store(config) as engine:
        write.mute(engine, alert_id, until, reason, by)
    say(f"Alert {alert_id}: no notices until {until:%Y-%m-%d %H:%M} UTC.")


def unmute(config: Path | None, alert_id: int) -> None:
    """Let an alert be heard again."""
    with opened_store(config) as engine:
        write.unmute(engine, alert_id)
    say(f"Alert {alert_id}: notices are sent again.")


def _as_dict(alert: StoredAlert) -> dict[str, object]:
    """The alert as strict JSON has it: times as text, and no infinity."""
    return {name: _plain(value) for name, value in asdict(alert).items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not isfinite(value) else value


def _heading(alert: StoredAlert) -> Text:
    what = [alert.rule] + [method_title(alert.method)] * bool(alert.method)
    what += [f"class {alert.class_name!r}"] if alert.class_idx is not None else []
    style = "green" if alert.resolved_at else "red" if alert.severity == "block" else "yellow"
    parts = [
        f"{alert.severity}, {alert.status}",
        f"since {_time(alert.opened_at)}, last {_time(alert.last_seen_at)}, {alert.observations} observed",
        *_state(alert),
    ]
    of = plain(f"{alert.model_name}/{alert.version}")
    return Text.assemble(
        (f"{alert.id}  ", "dim"),
        (f"{of} ({alert.scope}): {plain(', '.join(what))}", f"bold {style}"),
        f"  {'; '.join(parts)}",
    )


def _state(alert: StoredAlert) -> Iterator[str]:
    if alert.acknowledged_by:
        yield f"acknowledged by {plain(alert.acknowledged_by)}"
    if alert.resolved_at:
        yield f"resolved {_time(alert.resolved_at)}: {plain(alert.resolution or '')}"
    elif alert.muted_until and alert.muted_until > datetime.now(UTC):
        by = f" by {plain(alert.muted_by)}" if alert.muted_by else ""
        yield f"muted{by} until {_time(alert.muted_until)}: {plain(alert.mute_reason or '')}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
