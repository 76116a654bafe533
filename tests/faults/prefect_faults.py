"""Gates that are runs of Prefect: killed, or left alone by its server from a call on."""

from collections.abc import Iterable

from tests.faults.lab import SQLITE, Lab
from tests.faults.promises import Broken
from tests.faults.proxy import Misbehaviour, misbehaving
from tests.faults.trials import Fault, Trial
from tests.faults.world import World
from tests.support.commands import Ran

_CALLS = 60  # a few more than a gate makes


def killed(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """The process of a run that Prefect knows of; the next run is one that it knows of, too."""
    points = lab.unstruck(SQLITE).points
    strike = {"at": trial.one_of(len(points)), "deed": "kill", "both": trial.random.random() < 0.5}
    strike["prefect"] = lab.prefect()
    for broken in lab.struck(lambda world: world.gate(strike), SQLITE, killed=True):
        yield Broken(broken.promise, f"at {points[strike['at']]}: {broken.how}")


def gone(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """Its server hangs up, at every call from one on."""
    misbehaviour = Misbehaviour("closed", trial.one_of(_CALLS), lasts=True)
    server = lab.prefect().removesuffix("/api")  # before anybody counts processes

    def strike(world: World) -> Ran:
        with misbehaving(server, misbehaviour) as uri:
            return world.gate({"prefect": f"{uri}/api"})

    for broken in lab.struck(strike, SQLITE):
        yield Broken(broken.promise, f"at {misbehaviour.struck[:1]} (call {misbehaviour.at}): {broken.how}")


FAULTS = (
    Fault(name="SIGKILL of a run of Prefect at a named point", strike=killed, long=10),
    Fault(name="Prefect's server gone from a call on", strike=gone, long=10),
)
