"""docs/study.md has every field of a study."""

from pathlib import Path

import pytest

from case_monitor.settings.strict import Strict
from case_monitor.settings.study import PAPER_LAYERS, StudiedModel, StudySettings, read_study

PAGE = Path(__file__).parents[2] / "docs" / "study.md"


def lines(kind: type[Strict], prefix: str = "") -> list[str]:
    """A line of a table for each field."""
    described = {name: " ".join((field.description or "").split()) for name, field in kind.model_fields.items()}
    return [f"| `{prefix}{name}` | {text} |" for name, text in described.items()]


@pytest.mark.parametrize("line", [*lines(StudySettings), *lines(StudiedModel, "models.<name>.")])
def test_every_field_is_on_the_page(line: str) -> None:
    assert not line.endswith("|  |"), "a field needs a docstring"
    assert line in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_study_on_the_page_is_one(tmp_path: Path) -> None:
    _, _, block = PAGE.read_text(encoding="utf-8").partition("```yml\n")
    file = tmp_path / "own.yaml"
    file.write_text(block.partition("```")[0], encoding="utf-8")
    assert set(read_study(file).models) == {"resnet50", "densenet201", "vit", "flowers"}


@pytest.mark.parametrize(("architecture", "layers"), PAPER_LAYERS.items())
def test_the_layers_that_are_taken_are_on_the_page(architecture: str, layers: tuple[str, ...]) -> None:
    named = ", ".join(f"`{layer}`" for layer in layers)
    assert f"| `{architecture}` | {named} |" in PAGE.read_text(encoding="utf-8")
