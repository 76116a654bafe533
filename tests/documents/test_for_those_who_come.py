"""What people read first names nothing that is gone, and leaves out nothing that there is."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from case_monitor.cli.exit_codes import COULD_NOT_RUN, FAIL, INSUFFICIENT, INTERRUPTED, PASS
from case_monitor.domain.methods import METHODS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_path_of_the_contributors_page_is_there() -> None:
    named = re.findall(r"`((?:[\w.+-]+/)+[\w.+-]*)`", CONTRIBUTING)
    assert len(named) > 50
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_ten_questions_have_one_path_each() -> None:
    questions = re.findall(r"^\| ([^|]+\?) \| `([^`|]+)` \|$", CONTRIBUTING, flags=re.M)
    assert len(questions) == 10
    assert all((ROOT / path).is_file() for _, path in questions)


def test_everything_is_added_in_five_steps() -> None:
    recipes = re.findall(r"^## Add an? (\w+)\n\n((?:\d\. .*\n)+)", CONTRIBUTING, flags=re.M)
    assert {thing: steps.count("\n") for thing, steps in recipes} == dict.fromkeys(
        ("method", "metric", "page", "column", "flow"), 5
    )


def test_every_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    there = {name for names in targets for name in names.split()}
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES):
        assert set(re.findall(r"`make\s+([a-z-]+)`", page.read_text(encoding="utf-8"))) <= there, page.name


def test_the_index_has_every_page_once() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"^\d+\. \[.*?\]\((.*?)\)", index, flags=re.M)
    assert sorted(name for name in linked if not name.startswith("..")) == sorted(
        ["adr", *(page.name for page in PAGES if page.name != "README.md")]
    )


def test_nobody_is_told_to_install_from_an_index() -> None:
    """There is no release: whoever takes the name there would be installed."""
    texts = [ROOT / "README.md", *PAGES, *(ROOT / "docker").rglob("*"), *(ROOT / "case_monitor").rglob("*.py")]
    for file in texts:
        if file.is_file() and file.suffix not in {".png", ".pyc"}:
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"pip3? install[^\n`]*[\s'\"]case[-_]monitor(?=[\[\s'\"`]|$)(?!\[\w+\] @)", text), file


def test_every_exit_code_is_in_the_table() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Verdicts and exit codes")[2]
    for code in (PASS, FAIL, COULD_NOT_RUN, INSUFFICIENT, INTERRUPTED):
        assert f"| {code} |" in table, code


def test_every_variable_of_the_environment_is_explained() -> None:
    """Fields of the configuration are in docs/configuration.md; these are read beside it."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "case_monitor").rglob("*.py"))
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = {name for name in re.findall(r"\bCASE_MONITOR_[A-Z_]*[A-Z]\b", code) if "__" not in name}
    assert {"CASE_MONITOR_CONFIG", "CASE_MONITOR_LOG_FORMAT"} <= names
    assert [name for name in sorted(names) if name not in pages] == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_explained(method: str) -> None:
    assert f"`{method}`" in (DOCS / "method.md").read_text(encoding="utf-8") + (DOCS / "saliency.md").read_text("utf-8")


def test_licence_and_citation_are_those_of_the_project() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "Version 2.0" in licence
    assert citation["version"] == PROJECT["version"]
    assert citation["abstract"] == PROJECT["description"]


def test_before_a_commit_runs_what_make_check_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lint check:.*\n((?:\t.*\n)+)", makefile, flags=re.M)
    assert recipe is not None
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    hooks = {" ".join([hook["entry"], *hook.get("args", [])]) for hook in local["hooks"]}
    assert hooks == {line.removeprefix("\t$(BIN)/") for line in recipe[1].splitlines()}
