"""What may lie in a version's folder, and what MLmodel may say."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import mlflow.pytorch
import pytest
import yaml
from torch import nn

from case_monitor.registry.artifact import ALL_ALLOWED, check_artifact
from tests.registry.artifacts.asking import DIGITS_3, REFUSED, refusal_of
from tests.registry.artifacts.corpus import Runs, save, statement


def test_what_mlflow_logs_as_pt2_may_be_loaded(version: Path) -> None:
    (version / "registered_model_meta").write_text("model_name: digits\n")
    assert check_artifact(version, DIGITS_3, REFUSED) is None


def test_all_may_be_loaded_where_nothing_is_asked(tmp_path: Path) -> None:
    assert check_artifact(tmp_path, DIGITS_3, ALL_ALLOWED) is None


class Pickled(nn.Linear):
    def __reduce__(self) -> tuple[object, ...]:
        return Runs(self.statement).__reduce__()


def test_a_pickled_model_is_refused_and_does_run_code(tmp_path: Path) -> None:
    canary, model = tmp_path / "canary", Pickled(4, 2)
    model.statement = statement(canary)
    folder = tmp_path / "pickled"
    mlflow.pytorch.save_model(model, str(folder), serialization_format="pickle", pip_requirements=["torch"])
    assert "data/model.pth" in refusal_of(folder)
    assert not canary.exists()
    with suppress(AttributeError):  # what is loaded is no module
        mlflow.pytorch.load_model(str(folder))
    assert canary.exists(), "the trap does work"


def test_a_module_that_the_files_name_is_refused_and_does_run(version: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (version / "code").mkdir()
    (version / "code" / "named_by_the_files.py").write_text(statement(canary))
    (version / "data" / "pickle_module_info.txt").write_text("named_by_the_files")
    content = yaml.safe_load((version / "MLmodel").read_text())
    content["flavors"]["pytorch"]["code"] = "code"
    (version / "MLmodel").write_text(yaml.safe_dump(content))
    assert "code" in refusal_of(version)
    assert not canary.exists()
    (version / "data" / "model.pth").write_bytes(b"")
    path = list(sys.path)
    with pytest.raises(AttributeError):  # long after the import
        mlflow.pytorch.load_model(str(version))
    sys.path[:] = path
    assert canary.exists(), "the trap does work"


def test_code_that_stands_before_an_installed_module_is_refused(version: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit")
    folder = save(
        tmp_path / "coded", nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), code_paths=[tmp_path / "torch.py"]
    )
    assert "code: no folder but data was expected" in refusal_of(folder)


@pytest.mark.parametrize(
    "name",
    [
        "data/model.pth",
        "data/pickle_module_info.txt",
        "data/weights.pkl",
        "data/model.pt2.pickle",
        "model.so",
        "sitecustomize.py",
        "x.pyc",
        "data/MODEL.PT2",
        "mlmodel",
        "README.md",
    ],
)
def test_any_other_file_is_refused(version: Path, name: str) -> None:
    (version / name).write_bytes(b"")
    assert f": {name}: " in refusal_of(version)


@pytest.mark.parametrize("name", ["code", "data/model.pth", "__pycache__", "data/extra_files"])
def test_any_other_folder_is_refused(version: Path, name: str) -> None:
    (version / name).mkdir()
    assert f": {name}: no folder but data was expected" in refusal_of(version)


@pytest.mark.parametrize("name", ["MLmodel", "data/model.pt2"])
def test_what_is_missing_is_named(version: Path, name: str) -> None:
    (version / name).unlink()
    assert f": {name}: a file was expected, none came" in refusal_of(version)


@pytest.mark.parametrize("name", ["data/model.pt2", "requirements.txt", "MLmodel"])
def test_a_link_is_refused_also_to_what_would_do(version: Path, tmp_path: Path, name: str) -> None:
    (version / name).rename(tmp_path / "outside")
    (version / name).symlink_to(tmp_path / "outside")
    assert f": {name}: a file or a folder was expected, a link came" in refusal_of(version)


def test_a_linked_folder_is_refused(version: Path, tmp_path: Path) -> None:
    (version / "data").rename(tmp_path / "outside")
    (version / "data").symlink_to(tmp_path / "outside")
    assert ": data: a file or a folder was expected, a link came" in refusal_of(version)


def test_a_pipe_is_refused_and_not_read(version: Path) -> None:
    (version / "requirements.txt").unlink()
    os.mkfifo(version / "requirements.txt")
    assert ": requirements.txt: a file or a folder was expected, something else came" in refusal_of(version)


@pytest.mark.parametrize("name", [b"data/\xff\xfe.pt2", b"new\nline", b"\x1b[31m", "rtl‮".encode()])
def test_a_name_that_no_terminal_may_show_is_refused(version: Path, name: bytes) -> None:
    with open(os.fsencode(version) + b"/" + name, "wb"):
        pass
    assert "a name in printable UTF-8 was expected" in refusal_of(version)


@pytest.mark.parametrize(("name", "size"), [("MLmodel", 2 << 20), ("data/model.pt2", 17 << 30)])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(version: Path, name: str, size: int) -> None:
    os.truncate(version / name, size)  # a hole: it takes no room
    assert f": {name}: at most " in refusal_of(version)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"flavors": {"sklearn": {}}}, "the flavour pytorch was expected, sklearn came"),
        ({"flavors": {"pytorch": {"model_data": "../data"}}}, "model_data: data was expected, ../data came"),
        ({"flavors": {"pytorch": {"model_data": "data", "code": "data"}}}, "pytorch without code was expected"),
        (
            {"flavors": {"pytorch": {"model_data": "data"}, "python_function": {"loader_module": "os"}}},
            "loader_module: mlflow.pytorch was expected, os came",
        ),
        ({"flavors": {}}, "fields below pytorch"),
        ({"flavors": []}, "fields below flavors"),
    ],
)
def test_what_mlmodel_may_not_say(version: Path, change: dict[str, object], said: str) -> None:
    content = yaml.safe_load((version / "MLmodel").read_text())
    (version / "MLmodel").write_text(yaml.safe_dump(content | change))
    line = refusal_of(version)
    assert ": MLmodel: " in line
    assert said in line


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [exit]",
        "a: &a [x]\nb: *a",
        "flavors: {}\nflavors: {pytorch: {model_data: data}}",
        "[" * 5000,
        "\x00",
        "? [a]\n: b",
    ],
)
def test_mlmodel_is_plain_yaml(version: Path, text: str) -> None:
    (version / "MLmodel").write_text(text)
    assert ": MLmodel: " in refusal_of(version)


def test_mlmodel_in_other_bytes(version: Path) -> None:
    (version / "MLmodel").write_bytes(b"\xff")
    assert ": MLmodel: plain YAML was expected" in refusal_of(version)
