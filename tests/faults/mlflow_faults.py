"""MLflow behind a proxy that answers otherwise than it does, at every call of a gate, once or from then on."""

from collections.abc import Iterable
from functools import lru_cache, partial

from tests.faults.lab import SQLITE, Lab
from tests.faults.promises import CLEAN, CLOSED, GOES_ON, Broken
from tests.faults.proxy import CLIENT_TIMEOUT_S, HOW, Misbehaviour, misbehaving
from tests.faults.trials import Fault, Trial
from tests.faults.world import World
from tests.support.commands import Ran

_CLIENT = {"MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0", "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0"}
_WAITED_FOR = {"nothing", "late"}


@lru_cache
def _calls(lab: Lab, *, of_files: bool) -> int:
    """Calls of a gate that nothing strikes."""
    watched = Misbehaviour(of_files=of_files)
    with lab.world(SQLITE, served=True) as world:
        assert _gate(world, watched).code == 0
    return len(watched.calls)


def _gate(world: World, misbehaviour: Misbehaviour) -> Ran:
    environment = dict(_CLIENT)
    if misbehaviour.how in _WAITED_FOR:
        environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(CLIENT_TIMEOUT_S)
    with misbehaving(world.uri, misbehaviour) as uri:
        world.configure(uri=uri)
        ran = world.gate(**environment)
    world.configure()
    return ran


def at_a_call(
    lab: Lab, trial: Trial, *, hows: tuple[str, ...], lasts: bool, of_files: bool = False
) -> Iterable[Broken]:
    how = hows[(trial.number + trial.seed) % len(hows)]
    misbehaviour = Misbehaviour(how, trial.one_of(_calls(lab, of_files=of_files)), lasts, of_files)
    for broken in lab.struck(lambda world: _gate(world, misbehaviour), served=True):
        yield Broken(broken.promise, f"{how} at {misbehaviour.struck[:3]} (call {misbehaviour.at}): {broken.how}")


def other_bytes(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """A version of other bytes is another one: it may be evaluated, once more, and is never promoted."""
    for broken in at_a_call(lab, trial, hows=_NONSENSE, lasts=False, of_files=True):
        if broken.promise in _OF_OTHER_BYTES:
            yield broken


_REFUSED = ("429", "500", "503", "closed")
_DONE = ("500, and it was done", "503, and it was done", "closed, and it was done", "half")
_SLOW = ("nothing", "late")
_NONSENSE = ("{}", "[]", "null", "another's")
_OF_OTHER_BYTES = (CLOSED, GOES_ON, CLEAN)
_KINDS = {
    "refuses (429, 500, 503, hangs up)": (_REFUSED, 50, 12),
    "does it and says otherwise (500, 503, half, nothing)": (_DONE, 50, 12),
    "is silent or late": (_SLOW, 20, 4),
    "answers nonsense that is valid JSON": (_NONSENSE, 50, 16),
}
assert {how for kind, *_ in _KINDS.values() for how in kind} == set(HOW)

FAULTS = (
    *(
        Fault(
            name=f"MLflow {name}, {'from a call on' if lasts else 'at a call'}",
            strike=partial(at_a_call, hows=hows, lasts=lasts),
            long=lasting if lasts else once,
        )
        for name, (hows, once, lasting) in _KINDS.items()
        for lasts in (False, True)
    ),
    *(
        Fault(
            name=f"MLflow {name}, for a file of the model",
            strike=partial(at_a_call, hows=hows, lasts=False, of_files=True),
            long=8,
        )
        for name, (hows, *_) in _KINDS.items()
        if hows is not _NONSENSE
    ),
    Fault(
        name="MLflow serves other bytes for a file of the model", strike=other_bytes, long=12, promises=_OF_OTHER_BYTES
    ),
)
