"""Torch works in a confined process as in any other, to the last bit."""

from pathlib import Path

from tests.isolation.confine.programs import needs_confinement, run_program

pytestmark = needs_confinement


def test_a_network_loads_predicts_and_is_differentiated_the_same(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("model", "scratch")}
    for place in places.values():
        place.mkdir()
    came = run_program("computing.py", {name: str(place) for name, place in places.items()})
    assert came["free"]["tasks"] > 1  # torch did compute with threads
    assert came["confined"]["threads"] == 2
    assert came["confined"]["digests"] == came["free"]["digests"]
    assert len(set(came["free"]["digests"])) >= 3  # not all of them are zeros
