"""The tag by which a team says which versions are one training with several seeds."""

import logging
from types import SimpleNamespace

import pytest

from case_monitor.registry.seed_group import SEED_GROUP_TAG, seed_group_of


def version(**tags: object) -> SimpleNamespace:
    return SimpleNamespace(version="3", tags=tags)


def test_the_tag_is_read() -> None:
    assert seed_group_of(version(**{SEED_GROUP_TAG: " resnet, lr 0.1 "})) == "resnet, lr 0.1"
    assert seed_group_of(version(**{SEED_GROUP_TAG: "e\u0301tude  a"})) == seed_group_of(
        version(**{SEED_GROUP_TAG: "étude a"})
    )
    assert seed_group_of(version(other="x")) is None
    assert seed_group_of(SimpleNamespace(version="3", tags=None)) is None


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 101, "two\nlines", "\x00", 7])
def test_what_is_no_name_is_warned_of_and_not_taken(wrong: object, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert seed_group_of(version(**{SEED_GROUP_TAG: wrong})) is None
    assert "case_monitor.seed_group of version 3 is not taken: a printable name of up to 100 characters" in caplog.text
