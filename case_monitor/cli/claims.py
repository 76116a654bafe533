"""`claims`: what is being worked on, by whom, and until when."""

from pathlib import Path

from rich.text import Text

from case_monitor.cli.opened_store import opened_store
from case_monitor.cli.say import print_json, say
from case_monitor.cli.standard_output import results_console
from case_monitor.store.work.claims import Claim, Holder, load_claims, release


def list_claims(config: Path | None, *, as_json: bool) -> None:
    """Print the claims, those that end first coming first."""
    with opened_store(config) as engine:
        claims = load_claims(engine)
    if as_json:
        print_json([_as_dict(claim) for claim in claims])
        return
    console = results_console()
    for claim in claims:
        console.print(_heading(claim), soft_wrap=True)
        console.print(Text(f"   {claim.words}"), soft_wrap=True)
    if not claims:
        console.print("Nothing is claimed.", highlight=False)


def release_claim(config: Path | None, resource: str, *, force: bool) -> None:
    """Take a claim from its holder."""
    with opened_store(config) as engine:
        claim = release(engine, resource, force=force)
    say(f"{claim.resource}: no longer held by {claim.holder} ({claim.state}).")


def _heading(claim: Claim) -> Text:
    style = "green" if claim.state is Holder.ALIVE else "red"
    return Text.assemble((claim.resource, "bold"), "  ", (claim.state, style))


def _as_dict(claim: Claim) -> dict[str, object]:
    return {
        "resource": claim.resource,
        "holder": claim.holder,
        "host": claim.host,
        "process": claim.process,
        "since": claim.claimed_at.isoformat(),
        "until": claim.expires_at.isoformat(),
        "alive": claim.state is Holder.ALIVE,
        "state": claim.state,
    }
