"""Nights over a real registry, with a real model: what is the same comes out again, what is not is told."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from tests.integration.conftest import Cli
from tests.integration.test_cli import CONFIG, rows
from tests.support.alerting import Receiver, receiving
from tests.support.commands import registry_of


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def execute(config: Path, statement: str, **values: object) -> None:
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").begin() as connection:
        connection.execute(text(statement), values)


def fetch(config: Path, query: str) -> list[tuple[object, ...]]:
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def hold_alias(config: Path, version: int) -> None:
    registry_of(config).set_registered_model_alias("digits", "champion", str(version))


def test_a_failing_version_in_production_is_one_alert_and_comes_out_again_each_night(
    cli: Cli, demo_copy: Callable[[str], Path], receiver: Receiver
) -> None:
    config = demo_copy(CONFIG)
    config.write_text(config.read_text() + f"notify: ['{receiver.url().get_secret_value()}']\n")
    hold_alias(config, 3)
    first = cli("nightly", cwd=config.parent)
    assert first.code == 1, first.err
    assert "digits/3: FAIL  evaluated in full" in first.out
    for _ in range(2):
        again = cli("nightly", "digits", cwd=config.parent)
        assert again.code == 1, again.err
        assert "digits/3: FAIL  evaluation 1 comes out again (50 images)" in again.out
    alerts = fetch(config, "SELECT scope, rule, observations, resolved_at FROM alerts")
    assert alerts == [("production", "agreement_median", 3, None)]
    assert receiver.titles == ["digits/3 (production): alert: agreement median, CASE"]
    found = fetch(config, "SELECT evaluation_id, n, changed_predictions, reproduced FROM reproductions")
    assert found == [(1, 50, 0, 1)] * 2
    [differences] = fetch(config, "SELECT max(confidence_difference), max(score_difference) FROM reproductions")
    assert differences == (pytest.approx(0, abs=1e-5), pytest.approx(0, abs=1e-3))

    hold_alias(config, 2)
    healthy = cli("nightly", "--json", cwd=config.parent)
    assert healthy.code == 0, healthy.err
    assert json.loads(healthy.out)[0]["reproduction"] is None  # another version: evaluated in full
    assert receiver.titles[1:] == ["digits/2 (production): resolved: agreement median, CASE"]
    assert rows(config, "evaluations") == 2


def test_figures_that_no_longer_come_out_and_a_changed_artifact_are_alerts_of_their_own(
    cli: Cli, demo_copy: Callable[[str], Path]
) -> None:
    config = demo_copy(CONFIG)
    assert cli("nightly", cwd=config.parent).code == 0

    execute(config, "UPDATE sample_scores SET value = value / 2 WHERE metric = 'agreement' AND method = 'gradcam'")
    drifted = cli("nightly", "--json", cwd=config.parent)
    assert drifted.code == 1, drifted.err
    [night] = json.loads(drifted.out)
    assert (night["verdict"], night["reproduction"]["reproduced"]) == ("pass", False)
    assert night["reproduction"]["worst"] == "agreement of gradcam"
    assert "no longer gives the stored figures" in night["alerts"][0]["message"]
    assert fetch(config, "SELECT rule, severity FROM alerts WHERE resolved_at IS NULL") == [("reproduction", "warn")]
    assert cli("check", "digits@champion", cwd=config.parent).code == 0  # a person: this is how it is now
    assert cli("nightly", cwd=config.parent).code == 0
    assert fetch(config, "SELECT rule, observations, resolution FROM alerts") == [
        ("reproduction", 1, "the stored figures come out again")
    ]

    execute(config, "UPDATE evaluations SET model_digest = :digest", digest="0" * 64)  # another artifact, once
    changed = cli("nightly", cwd=config.parent)
    assert "digits/2: PASS  evaluated in full" in changed.out
    assert "began with 000000000000 then" in changed.out
    assert "comes out again" in cli("nightly", cwd=config.parent).out
    open_alerts = fetch(config, "SELECT rule, severity, observations FROM alerts WHERE resolved_at IS NULL")
    assert open_alerts == [("artifact", "block", 2)]
    execute(config, "DELETE FROM evaluations WHERE model_digest = :digest", digest="0" * 64)
    cli("nightly", cwd=config.parent)
    assert fetch(config, "SELECT rule FROM alerts WHERE resolved_at IS NULL") == []


def test_new_data_is_a_new_test_within_the_budget_over_time(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    assert cli("nightly", cwd=config.parent).code == 0
    split = Path(config.read_text().split("path: ")[1].split("}")[0])
    with np.load(split) as data:
        half = {name: data[name][:-20] if name != "class_names" else data[name] for name in data.files}
    np.savez_compressed(config.parent / "new.npz", **half)
    config.write_text(config.read_text().replace(str(split), str(config.parent / "new.npz")))
    ran = cli("nightly", cwd=config.parent)
    assert "evaluated in full" in ran.out
    assert fetch(config, "SELECT in_production, count(*) FROM evaluations GROUP BY 1") == [(1, 2)]


def test_one_model_that_cannot_be_checked_keeps_no_other_from_it(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    missing = "  letters:\n    split: {kind: npz, path: nowhere.npz}\n"
    config.write_text(config.read_text().replace("models:\n", f"models:\n{missing}"))
    registry = registry_of(config)
    version = registry.get_model_version_by_alias("digits", "champion")
    registry.create_registered_model("letters")
    registry.create_model_version("letters", version.source, run_id=version.run_id)
    registry.set_registered_model_alias("letters", "champion", "1")
    ran = cli("nightly", cwd=config.parent)
    assert ran.code == 2
    assert "1 of 2 models could not be checked: letters (" in ran.err
    assert rows(config, "evaluations") == 1


def test_without_a_version_in_production_there_is_nothing_to_check(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    registry_of(config).delete_registered_model_alias("digits", "champion")
    ran = cli("nightly", cwd=config.parent)
    assert (ran.code, ran.out) == (0, "digits: no version is in production\n")
    assert cli("nightly", "nope", cwd=config.parent).code == 2
