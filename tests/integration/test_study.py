"""A study as a user runs it: cells once, whatever ends it, and nobody is told."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from case_monitor.demo.digits import load_digits
from case_monitor.evidence.mlflow_run import make_tracking_database
from tests.integration.conftest import Cli

SMALL = """\
title: Two seeds
models:
  tiny: {small: resnet, data: digits, seeds: 2, layers: [blocks]}
protocol: {methods: [case, gradcam], sample_size: 60}
"""
COMMAND = (sys.executable, "-m", "case_monitor", "study")


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{directory / 'case-monitor.db'}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


def stored(directory: Path) -> list[tuple[object, ...]]:
    """Which cells, and when each was measured."""
    return rows(
        directory,
        "SELECT version, target_layer, updated_at FROM evaluations e "
        "JOIN model_versions m ON m.id = e.model_version_id ORDER BY 1, 2",
    )


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Places that the environment names for what runs in production, and a protocol."""
    places = tmp_path / "production"
    places.mkdir()
    for name in ("TRACKING_URI", "DATABASE_URL"):
        monkeypatch.setenv(f"CASE_MONITOR_{name}", f"sqlite:///{places / name}.db")
    monkeypatch.setenv("CASE_MONITOR_PROTOCOL__SAMPLE_SIZE", "3")
    return places


def test_killed_in_the_middle_it_goes_on_where_it_stopped(cli: Cli, tmp_path: Path, production: Path) -> None:
    (tmp_path / "own.yaml").write_text(SMALL, encoding="utf-8")
    directory = tmp_path / "study"
    environment = os.environ | {"DO_NOT_TRACK": "true"}
    killed = subprocess.Popen(
        (*COMMAND, "own.yaml", "-d", "study"), cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert killed.stderr is not None
    for line in killed.stderr:
        if "1 of 2" in line:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stderr.close()
    before = stored(directory)
    assert [row[:2] for row in before] == [(1, "blocks")]

    ran = cli("study", "own.yaml", "-d", "study", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["finished"], found["measured"], found["unfinished"]) == (2, 1, [])
    after = stored(directory)
    assert after[:1] == before
    assert [row[:2] for row in after[1:]] == [(2, "blocks")]
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "Two seeds" in page
    assert "Table I, digits" in page
    assert page.count("data:image/png") == 4  # seeds, channels, agreement, gallery

    nothing_new = json.loads(cli("study", "own.yaml", "-d", "study", "--json", cwd=tmp_path).out)
    assert (nothing_new["finished"], nothing_new["measured"]) == (2, 0)
    assert stored(directory) == after
    for table in ("alerts", "alert_notices", "promotions", "outbox"):
        assert rows(directory, f"SELECT count(*) FROM {table}") == [(0,)]
    with sqlite3.connect(f"file:{directory / 'mlflow.db'}?mode=ro", uri=True) as registry:
        assert registry.execute("SELECT count(*) FROM registered_model_aliases").fetchone() == (0,)
        tags = registry.execute("SELECT DISTINCT key, value FROM model_version_tags").fetchall()
        assert tags == [("case_monitor.seed_group", "tiny")]  # and no verdict
        runs = registry.execute("SELECT count(*) FROM runs WHERE name = 'Two seeds'").fetchone()
    assert runs == (1,)
    assert not list(production.iterdir())
    assert rows(directory, "SELECT min(n) > 50 FROM (SELECT count(*) AS n FROM samples GROUP BY evaluation_id)") == [
        (1,)
    ]
    logged = list((directory / "mlartifacts" / "case_monitor_studies").rglob("study.html"))
    assert [file.read_text(encoding="utf-8") for file in logged] == [page]


def image_folder(folder: Path, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    for label in range(classes):
        (folder / f"n{label:08d}").mkdir(parents=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / f"n{label:08d}" / f"{i}.png")


@pytest.fixture
def folder_and_weights(tmp_path: Path) -> Path:
    """A folder as ImageNet's, and weights for which many of its images are right: the classes are what they say."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=5)
    network.fc.weight.data.normal_(0, 1)
    network.train()
    images = np.random.default_rng(0).integers(0, 256, (64, 40, 40, 3), dtype=np.uint8)
    images[:, :, :, 0] = load_digits().val_images[:64, 0:1, 0:1]
    with torch.no_grad():
        network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    torch.save(network.eval().state_dict(), tmp_path / "weights.pth")
    image_folder(tmp_path / "val", images, np.arange(64) % 5, 5)
    return tmp_path


FOLDER = """\
data:
  pictures: {kind: image_folder, path: val}
models:
  resnet18:
    torchvision: resnet18
    weights: weights.pth
    data: pictures
    layers: [layer4.1.conv2, none.such]
    preprocessing: {mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
protocol: {methods: [case, gradcam], sample_size: 60}
"""


def test_weights_from_a_file_and_a_layer_that_is_not_there(cli: Cli, folder_and_weights: Path) -> None:
    file = folder_and_weights / "own.yaml"
    file.write_text(FOLDER, encoding="utf-8")
    ran = cli("study", "own.yaml", "-d", "study", "--json", cwd=folder_and_weights)
    found = json.loads(ran.out)
    assert ran.code == 2, ran.err
    assert found["finished"] == 1
    assert "none.such" in found["unfinished"][0]
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "Not finished:" in page
    assert "none.such" in page

    other = torchvision.models.resnet18(num_classes=5)
    torch.save(other.state_dict(), folder_and_weights / "weights.pth")
    again = json.loads(cli("study", "own.yaml", "-d", "study", "--json", cwd=folder_and_weights).out)
    assert (again["finished"], again["report"]) == (
        0,
        None,
    )  # never figures of other weights than those that the file has
    assert "the one that is registered is" in again["unfinished"][0]
    assert "take another --directory" in again["unfinished"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a file, or --preset small, was expected, neither came"),
        (("--preset", "large"), "a file, or --preset small, was expected, --preset large came"),
        (("a.yaml", "--preset", "small"), "was expected, a.yaml and --preset small came"),
        (("a.yaml", "--seeds", "2"), "--seeds: --preset was expected beside it"),
        (("a.yaml",), "a.yaml"),
        (("--preset", "small", "-d", "study?"), "a path without ?"),
    ],
)
def test_what_cannot_be_studied_is_said_at_once(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = cli("study", *arguments, cwd=tmp_path)
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("file", ["case-monitor.yaml", "mlflow.db", "data/digits.npz"])
def test_a_directory_of_something_else_is_left_alone(cli: Cli, tmp_path: Path, file: str) -> None:
    (tmp_path / "own.yaml").write_text(SMALL, encoding="utf-8")
    theirs = tmp_path / "theirs" / file
    theirs.parent.mkdir(parents=True)
    theirs.write_text("alias: champion\n", encoding="utf-8")
    ran = cli("study", "own.yaml", "-d", "theirs", cwd=tmp_path)
    assert ran.code == 2
    assert "a study's or an empty one was expected" in ran.err
    assert [found for found in (tmp_path / "theirs").rglob("*") if found.is_file()] == [theirs]
    assert theirs.read_text(encoding="utf-8") == "alias: champion\n"


SEVERAL = """\
data:
  pictures: {kind: image_folder, path: val}
models:
  missing: {torchvision: resnet18, weights: none.pth, data: pictures}
  tiny: {small: resnet, data: digits, layers: [%s]}
protocol: {methods: [gradcam, layercam], sample_size: 40}
"""


def test_what_fails_stops_no_other_and_a_picture_stays_with_its_layer(cli: Cli, tmp_path: Path) -> None:
    """Without CASE, too, and in a directory with a space."""
    file = tmp_path / "own.yaml"
    file.write_text(SEVERAL % "blocks, stem", encoding="utf-8")
    first = cli("study", "own.yaml", "-d", "a study", "--json", cwd=tmp_path)
    found = json.loads(first.out)
    assert (first.code, found["finished"], len(found["unfinished"])) == (2, 2, 1), first.err
    assert "missing/1" in found["unfinished"][0]
    assert "none.pth" in found["unfinished"][0]
    assert rows(tmp_path / "a study", "SELECT DISTINCT json_extract(policy, '$.gate_method') FROM evaluations") == [
        ("gradcam",)
    ]
    shown = captions(Path(found["report"]))
    file.write_text(SEVERAL % "stem, blocks", encoding="utf-8")
    again = json.loads(cli("study", "own.yaml", "-d", "a study", "--json", cwd=tmp_path).out)
    assert (again["finished"], again["measured"]) == (2, 0)
    assert captions(Path(again["report"])) == shown


def captions(page: Path) -> dict[str, str]:
    """Caption of each gallery -> its picture."""
    figures = re.findall(r'base64,([^"]+)" alt="([^"]+)"', page.read_text(encoding="utf-8"))
    return {caption: png for png, caption in figures if "Figs. 1 and 3" in caption}


def test_half_a_database_of_mlflow_is_made_anew(tmp_path: Path) -> None:
    """Killed while MLflow made its tables: MLflow itself cannot go on from there."""
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(f"{file}.partial") as database:
        database.execute("CREATE TABLE trace_info (id INTEGER)")
    make_tracking_database(file)
    assert not Path(f"{file}.partial").exists()
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    before = file.read_bytes()
    make_tracking_database(file)
    assert file.read_bytes() == before
