"""Commands and their exit codes: 0 pass, 1 fail, 3 insufficient, 2 could not run."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image
from prefect import get_client
from sqlalchemy import create_engine, text

from case_monitor.demo.digits import CLASS_NAMES
from case_monitor.store.read.evaluations import latest_evaluation
from case_monitor.store.read.gallery import gallery_entries, gallery_map
from case_monitor.store.read.predictions import load_predictions
from tests.integration.conftest import Cli, Demo
from tests.support.commands import registry_of

# By the paper's rules: those by default need more images.
RULES = "policy: {{thresholds: paper, min_samples: 40}}\n"
QUICK = "protocol: {{methods: [case, gradcam], sample_size: 150}}\n" + RULES
CONFIG = (
    "tracking_uri: sqlite:///mlflow.db\nexperiment: quick\n"
    + QUICK
    + "models:\n  digits:\n    split: {{kind: npz, path: {split}}}\n"
)


def rows(config: Path, table: str) -> int:
    database = config.parent / "case-monitor.db"
    if not database.exists():
        return 0
    with create_engine(f"sqlite:///{database}").connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def champion(config: Path) -> int:
    return int(registry_of(config).get_model_version_by_alias("digits", "champion").version)


def assert_one_clear_line(ran: object, config: Path, *words: str) -> None:
    code, out, err = ran.code, ran.out, ran.err  # type: ignore[attr-defined]
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, len(errors)) == (2, 1), (code, out, err)
    assert "Traceback" not in err + out
    for word in words:
        assert word in errors[0], errors[0]
    assert rows(config, "evaluations") == 0


@pytest.mark.parametrize(("version", "code"), [(2, 0), (3, 1)])
def test_exit_code_says_the_verdict(cli: Cli, demo_copy: Callable[[str], Path], version: int, code: int) -> None:
    config = demo_copy(CONFIG)
    ran = cli("check", f"digits/{version}", cwd=config.parent)
    assert ran.code == code, ran.err
    assert ("FAIL" if code else "PASS") in ran.out
    assert rows(config, "evaluations") == 1


def test_a_check_stores_what_dashboards_show(cli: Cli, demo: Demo, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    assert cli("check", "digits/2", cwd=config.parent).code == 0
    engine = create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}")
    stored = latest_evaluation(engine, "digits", 2)
    assert stored is not None
    experiment = MlflowClient(f"sqlite:///{config.parent / 'mlflow.db'}").get_experiment_by_name("quick")
    assert stored.mlflow_experiment_id == experiment.experiment_id
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(UUID(stored.flow_run_id))
    assert flow_run.name == "evaluate digits/2"
    target, preds = load_predictions(engine, stored.id)
    with np.load(demo.directory / "digits-validation.npz") as split:
        assert target.tolist() == split["labels"].tolist()
    assert np.mean(preds == target) > 0.9
    entries = gallery_entries(engine, stored.id)
    assert len(entries) == 22
    assert {entry.methods for entry in entries} == {("case", "gradcam")}
    for entry in entries:
        assert gallery_map(engine, stored.id, entry.position, "case", 2).startswith(b"\x89PNG")


def test_check_again_updates_and_moves_no_alias(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    first = json.loads(cli("check", "digits/3", "--json", cwd=config.parent).out)
    second = json.loads(cli("check", "digits/3", "--json", cwd=config.parent).out)
    assert first == second
    assert first["verdict"] == "fail"
    assert {a["rule"] for a in first["alerts"]} == {"agreement_median", "agreement_median_vs_baseline"}
    assert rows(config, "evaluations") == 1
    assert rows(config, "promotions") == 0
    assert champion(config) == 2


def test_too_few_images_are_insufficient(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG.replace("sample_size: 150", "sample_size: 30"))
    ran = cli("check", "digits@champion", "--json", cwd=config.parent)
    assert ran.code == 3, ran.err
    assert json.loads(ran.out)["verdict"] == "insufficient"


def test_gate_withholds_and_reuses_stored_evidence(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    first = cli("gate", "digits/3", "--json", cwd=config.parent)
    again = cli("gate", "digits/3", "--json", cwd=config.parent)
    assert (first.code, again.code) == (1, 1)
    promotion = json.loads(first.out)["promotion"]
    assert (promotion["decision"], promotion["previous_version"]) == ("withheld", 2)
    assert "explain" in first.err
    assert "explain" not in again.err  # nothing was measured again
    assert (rows(config, "evaluations"), rows(config, "promotions")) == (1, 1)
    assert champion(config) == 2


def test_gate_keeps_the_version_that_is_in_production(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    ran = cli("gate", "digits@champion", cwd=config.parent)
    assert ran.code == 0, ran.err
    assert "Version 2 already holds alias champion." in ran.out


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nosuch/1", ("nosuch", "digits")),
        ("digits/99", ("digits/99", "not found")),
        ("digits@nobody", ("digits@nobody", "not found")),
        ("digits", ("name/<version>", "'digits'")),
    ],
)
def test_models_that_are_not_there(
    cli: Cli, demo_copy: Callable[[str], Path], model: str, words: tuple[str, ...]
) -> None:
    config = demo_copy(CONFIG)
    assert_one_clear_line(cli("check", model, cwd=config.parent), config, *words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("experiment:", "experimnt:"), ("experimnt", "no such field")),
        (("sample_size: 150", "sample_sise: 60"), ("protocol.sample_sise", "no such field")),
        (("methods: [case,", "methods: [cake,"), ("protocol.methods", "cake")),
        (("sample_size: 150", "target_layer: features.99"), ("features.99", "does not exist")),
        (("kind: npz", "kind: nbz"), ("models.digits.split", "nbz")),
        (("methods: [case, gradcam]", "methods: [gradcam]"), ("policy.gate_method", "case")),
    ],
)
def test_configurations_that_are_wrong(
    cli: Cli, demo_copy: Callable[[str], Path], change: tuple[str, str], words: tuple[str, ...]
) -> None:
    assert change[0] in CONFIG
    config = demo_copy(CONFIG.replace(*change))
    assert_one_clear_line(cli("check", "digits/2", cwd=config.parent), config, *words)


def test_a_data_set_of_nine_classes(cli: Cli, demo: Demo, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG.replace("{split}", "nine.npz"))
    with np.load(demo.directory / "digits-validation.npz") as split:
        keep = split["labels"] < 9
        np.savez(
            config.parent / "nine.npz",
            images=split["images"][keep],
            labels=split["labels"][keep],
            class_names=split["class_names"][:9],
        )
    assert_one_clear_line(cli("check", "digits/2", cwd=config.parent), config, "9", "10", "classes")


def test_a_database_of_a_newer_schema(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    assert cli("db", "upgrade", cwd=config.parent).code == 0
    with create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}").begin() as connection:
        connection.execute(text("UPDATE case_monitor_revision SET version_num = 'from-the-future'"))
    assert_one_clear_line(cli("check", "digits/2", cwd=config.parent), config, "case-monitor.db", "newer")


def test_explain_draws_one_image(cli: Cli, demo: Demo, tmp_path: Path) -> None:
    with np.load(demo.directory / "digits-validation.npz") as split:
        Image.fromarray(split["images"][0]).save(tmp_path / "digit.png")
    picture = tmp_path / "out" / "explained.png"
    ran = cli(
        "explain",
        "digits@champion",
        str(tmp_path / "digit.png"),
        "--output",
        str(picture),
        "--config",
        str(demo.config),
        cwd=tmp_path,
    )
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(picture)
    with Image.open(picture) as image:
        assert image.size[0] > 800
    missing = cli("explain", "digits/1", "nothing.png", "--config", str(demo.config), cwd=tmp_path)
    assert missing.code == 2
    assert "nothing.png" in missing.err


def test_layers_recommends_one_and_stores_nothing(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    before = (config.parent / "mlflow.db").read_bytes()
    asked = ("layers", "digits/2", "--images", "60", "--layer", "features", "--layer", "features.3")
    ran = cli(*asked, "--json", cwd=config.parent)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert [row["layer"] for row in found["layers"]] == ["features", "features.3"]
    assert (found["taken"], found["method"]) == ("features", "case")
    assert found["layers"][0]["gain"] is None
    pair = {row["layer"]: next(f for f in row["figures"] if f["metric"] == "pair_contrast") for row in found["layers"]}
    gain = found["layers"][1]["gain"]
    assert gain["value"] == pytest.approx(pair["features.3"]["value"] - pair["features"]["value"], abs=0.1)
    assert found["recommended"] == ("features.3" if gain["ci_low"] > 0 else "features")
    shown = cli(*asked, cwd=config.parent)
    assert shown.code == 0, shown.err
    assert "features (taken now)" in shown.out
    assert (config.parent / "mlflow.db").read_bytes() == before
    assert not (config.parent / "case-monitor.db").exists()


def test_digits_are_judged_and_explained_as_even_and_odd(
    cli: Cli, demo: Demo, demo_copy: Callable[[str], Path]
) -> None:
    """By a class map in a file of its own; the images are of the model's classes."""
    config = demo_copy(CONFIG + "    class_map: parity.yaml\n")
    parity = {"even": (0, 2, 4, 6, 8), "odd": (1, 3, 5, 7, 9)}
    lines = (f"{CLASS_NAMES[digit]}: {name}\n" for name, digits in parity.items() for digit in digits)
    (config.parent / "parity.yaml").write_text("".join(lines))
    ran = cli("check", "digits/2", cwd=config.parent)
    assert ran.code in {0, 1, 3}, ran.err
    assert "The model's 10 classes are judged as 2 (class_map)" in " ".join((ran.out + ran.err).split())
    engine = create_engine(f"sqlite:///{config.parent / 'case-monitor.db'}")
    stored = latest_evaluation(engine, "digits", 2)
    assert stored is not None
    assert stored.class_names == ("even", "odd")
    predicted = load_predictions(engine, stored.id)
    assert predicted is not None
    target, preds = predicted
    with np.load(demo.directory / "digits-validation.npz") as split:
        assert target.tolist() == (split["labels"] % 2).tolist()
        Image.fromarray(split["images"][0]).save(config.parent / "digit.png")
    assert (preds == target).mean() > 0.9
    ran = cli("explain", "digits/2", "digit.png", "--output", "explained.png", cwd=config.parent)
    assert ran.code == 0, ran.err
    assert "has not been checked" not in ran.err
    (config.parent / "parity.yaml").unlink()
    config.write_text(config.read_text().replace("    class_map: parity.yaml\n", ""))
    ran = cli("explain", "digits/2", "digit.png", "--output", "explained.png", cwd=config.parent)
    assert ran.code == 0, ran.err
    assert "has not been checked" in ran.err  # as one of ten classes


def test_help_imports_nothing_heavy() -> None:
    """What keeps `--help` under a second: torch, MLflow and Prefect take over ten to import."""
    code = (
        "import sys; sys.argv = ['case-monitor', '--help']\n"
        "from case_monitor.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'prefect', 'evidently', 'pandas', 'sqlalchemy', 'matplotlib', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: case-monitor" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_of_its_own_process_without_any_server(demo_copy: Callable[[str], Path]) -> None:
    """Prefect starts and ends a server of its own; the exit code is the shell's."""
    config = demo_copy(CONFIG)
    program = Path(sys.executable).parent / "case-monitor"
    done = subprocess.run(
        [program, "check", "digits/3", "--config", config, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["verdict"] == "fail"
    assert "Traceback" not in done.stderr


def test_another_policy_is_tried_on_what_is_stored(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    assert cli("check", "digits/3", "--json", cwd=config.parent).code == 1
    same = cli("policy", "try", "--json", cwd=config.parent)
    assert [(t["version"], t["status"], t["changed"]) for t in json.loads(same.out)] == [("digits/3", "fail", False)]
    lenient = "policy:\n  thresholds:\n    - {metric: accuracy, limit: 0.5, greater_is_better: true}\n"
    config.write_text(config.read_text().replace(RULES.format(), lenient))
    tried = cli("policy", "try", "--last", "5", cwd=config.parent)
    assert "1 of 1 verdicts would change" in tried.out, tried.err
    assert rows(config, "evaluations") == 1
    shown = json.loads(cli("policy", "show", "--json", cwd=config.parent).out)
    assert [t["metric"] for t in shown["digits"]["thresholds"]] == ["accuracy"]


def test_the_policy_in_effect_is_shown_with_its_defaults(cli: Cli, demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    shown = cli("policy", "show", "--model", "digits", cwd=config.parent)
    assert shown.code == 0, shown.err
    words = " ".join(shown.out.replace("│", " ").split())
    assert "accuracy_vs_baseline" in words
    assert "At most 5% of the evaluations of an unchanged healthy model may fail" in words
    assert_one_clear_line(cli("policy", "show", "--model", "flowers", cwd=config.parent), config, "models.flowers")
