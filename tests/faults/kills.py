"""SIGKILL, at moments drawn by lot and at every named point, of the command alone and of it and its parent."""

from collections.abc import Callable, Iterable
from functools import partial

from tests.faults.lab import POSTGRESQL, SQLITE, Lab
from tests.faults.promises import Broken
from tests.faults.trials import Fault, Trial


def at_a_random_moment(lab: Lab, trial: Trial, *, database: str) -> Iterable[Broken]:
    random = trial.random
    seconds = random.uniform(0, lab.unstruck(database).seconds)
    strike = {"seconds": seconds, "both": random.random() < 0.5}
    return lab.struck(lambda world: world.gate(strike), database, killed=True)


def at_a_point(lab: Lab, trial: Trial, *, database: str, served: bool) -> Iterable[Broken]:
    points = lab.unstruck(database, served=served).points
    strike = {"at": trial.one_of(len(points)), "deed": "kill", "both": trial.random.random() < 0.5}
    return lab.struck(lambda world: world.gate(strike), database, served=served, killed=True)


def _fault(name: str, strike: Callable[..., Iterable[Broken]], short: int, long: int, **how: object) -> Fault:
    return Fault(name=name, strike=partial(strike, **how), short=short, long=long)


FAULTS = (
    _fault("SIGKILL at a random moment, SQLite", at_a_random_moment, 1, 40, database=SQLITE),
    _fault("SIGKILL at a random moment, PostgreSQL", at_a_random_moment, 0, 40, database=POSTGRESQL),
    _fault("SIGKILL at a named point, SQLite", at_a_point, 1, 70, database=SQLITE, served=False),
    _fault("SIGKILL at a named point, PostgreSQL, MLflow by HTTP", at_a_point, 0, 50, database=POSTGRESQL, served=True),
)
