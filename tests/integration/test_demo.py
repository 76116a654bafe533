"""The demo's story, and what it leaves in the database, in the registry and in the runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from sqlalchemy import create_engine, text

from case_monitor.domain.policy import PAPER_THRESHOLDS, Policy
from case_monitor.domain.status import Status
from case_monitor.store.policy_trial import try_on_stored
from tests.integration.conftest import Cli, Demo
from tests.support.commands import registry_of

TABLES = (
    *("model_versions", "evaluations", "class_metrics", "confusion_cells", "contrast_members", "samples"),
    *("sample_scores", "metric_summaries", "threshold_results", "promotions"),
    *("alert_observations", "alerts", "alert_marks", "alert_notices"),
)


def count_rows(demo: Demo) -> dict[str, int]:
    engine = create_engine(demo.database_url)
    with engine.connect() as connection:
        return {t: connection.execute(text(f"SELECT count(*) FROM {t}")).scalar_one() for t in TABLES}


def verdicts(demo: Demo) -> dict[int, tuple[str, str]]:
    engine = create_engine(demo.database_url)
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT p.version, e.verdict_status, p.decision FROM promotions p "
                "JOIN evaluations e ON e.id = p.evaluation_id"
            )
        )
        return {version: (status, decision) for version, status, decision in rows}


def test_three_versions_two_promoted_the_accurate_third_withheld(demo: Demo) -> None:
    assert demo.ran.code == 0, demo.ran.err
    assert verdicts(demo) == {1: ("pass", "promoted"), 2: ("pass", "promoted"), 3: ("fail", "withheld")}
    assert "do not know which class they explain" in " ".join(demo.ran.out.split())
    assert "explain and test the sample" in demo.ran.err  # progress is shown


def test_an_accuracy_gate_would_have_promoted_the_third(demo: Demo) -> None:
    engine = create_engine(demo.database_url)
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT t.metric, t.status FROM threshold_results t JOIN evaluations e ON e.id = t.evaluation_id "
                "JOIN model_versions m ON m.id = e.model_version_id WHERE m.version = 3 AND t.class_idx IS NULL"
            )
        )
        status = dict(rows.tuples().all())
    assert status["accuracy_vs_baseline"] == "pass"
    assert status["pair_contrast"] == "fail"


def test_the_rules_of_the_paper_tell_the_same_story(demo: Demo) -> None:
    """On digits in the middle of the picture; on other images shared attention passes them."""
    engine = create_engine(demo.database_url)
    trials = try_on_stored(engine, "digits", Policy(thresholds=PAPER_THRESHOLDS), last=3)
    found = {trial.version: (trial.status, trial.reason) for trial in trials}
    assert found["digits/1"] == found["digits/2"] == (Status.PASS, "every blocking rule passes")
    status, reason = found["digits/3"]
    assert status is Status.FAIL
    assert reason.startswith("agreement_median: ")


def test_every_table_has_rows(demo: Demo) -> None:
    assert min(count_rows(demo).values()) > 0, count_rows(demo)


def test_the_registry_shows_champion_and_verdicts(demo: Demo) -> None:
    client = registry_of(demo.config)
    assert str(client.get_model_version_by_alias("digits", "champion").version) == "2"
    tags = {v: client.get_model_version("digits", str(v)).tags for v in (1, 2, 3)}
    assert {v: t["case_monitor.verdict"] for v, t in tags.items()} == {1: "pass", 2: "pass", 3: "fail"}
    assert client.get_run(tags[3]["case_monitor.run_id"]).data.tags["case_monitor.model_version"] == "3"


@pytest.mark.parametrize("version", [2, 3])
def test_the_run_holds_every_artifact(demo: Demo, version: int) -> None:
    client = registry_of(demo.config)
    run_id = client.get_model_version("digits", str(version)).tags["case_monitor.run_id"]
    folders = ("", "figures", "reports", "tables")
    files = {file.path for folder in folders for file in client.list_artifacts(run_id, folder) if not file.is_dir}
    assert files >= {
        "alerts.json",
        "figures/agreement_histograms.png",
        "figures/channel_activity.png",
        "figures/contrast.png",
        "figures/confusion_matrix.png",
        "figures/fidelity.png",
        "figures/gallery.png",
        "figures/model_inputs.png",
        "figures/saliency_maps.png",
        "reports/prediction_drift.html",
        "reports/quality_by_label.html",
        "tables/class_metrics.csv",
        "tables/contrast_sets.csv",
        "tables/predictions.parquet",
        "tables/sample_scores.parquet",
        "tables/summaries.csv",
    }
    local = client.download_artifacts(run_id, "")
    for file in files:
        if file.endswith(".png"):
            with Image.open(f"{local}/{file}") as image:
                assert min(image.size) > 300
    alerts = json.loads(Path(local, "alerts.json").read_text(encoding="utf-8"))
    blocking = {a["rule"]: a["status"] for a in alerts if a["severity"] == "block"}
    assert blocking.get("pair_contrast") == ("fail" if version == 3 else None)
    assert bool(blocking) == (version == 3)


def test_stored_numbers_are_those_in_mlflow(demo: Demo) -> None:
    client = registry_of(demo.config)
    run = client.get_run(client.get_model_version("digits", "3").tags["case_monitor.run_id"])
    engine = create_engine(demo.database_url)
    stored = pd.read_sql(
        "SELECT s.metric, s.method, s.value FROM metric_summaries s JOIN evaluations e ON e.id = s.evaluation_id "
        f"WHERE e.mlflow_run_id = '{run.info.run_id}' AND s.class_idx IS NULL AND s.value IS NOT NULL",
        engine,
    )
    assert len(stored) == len(run.data.metrics) > 50
    case = stored[(stored.metric == "agreement_median") & (stored.method == "case")].value.item()
    assert run.data.metrics["case/agreement_median"] == case > 0.5
    accuracy = stored[stored.metric == "accuracy"].value.item()
    assert run.data.metrics["accuracy"] == accuracy > 0.9


def test_a_second_run_duplicates_nothing(demo: Demo, cli: Cli, tmp_path: Path) -> None:
    """In a copy: others read the demo meanwhile."""
    demo = replace(demo, directory=Path(shutil.copytree(demo.directory, tmp_path / "demo")))
    client = registry_of(demo.config)
    experiments = [e.experiment_id for e in client.search_experiments()]
    before = count_rows(demo), len(client.search_runs(experiments))
    again = cli("demo", "--directory", str(demo.directory), cwd=demo.directory)
    assert again.code == 0, again.err
    assert "withheld" in again.out
    assert (count_rows(demo), len(client.search_runs(experiments))) == before
    assert len(client.search_model_versions("name = 'digits'")) == 3
