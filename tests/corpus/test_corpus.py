"""Bad and strange inputs: each is read rightly or is one clear line, in bounded memory.

docs/bad-inputs.md is made here.

`python -m tests.corpus.test_corpus` writes the page.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.answers import GROUPS, all_cases

PAGE = Path(__file__).parents[2] / "docs" / "bad-inputs.md"
HEAD = """# Bad and strange images, and what is said of them

Made by `tests/corpus`, which builds each of these in a folder of its own and reads it as a check does, with a model of
the classes "a" and "b": a split called `split`, or a file `x...`. Where an error stands, the command ends with exit
code 2 before a model is asked, and nothing is stored. All of them together take less than half a gigabyte beside the
libraries.

"""
TIMEOUT_S = 600
LARGEST_KIB = 1 << 19


@functools.cache
def came() -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.corpus.answers"],
        cwd=PAGE.parents[1],
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("name", all_cases())
def test_it_is_read_or_is_one_line(name: str) -> None:
    case, answer = all_cases()[name], came()["answers"][name]
    if "error" in answer:
        assert case.images is None, answer
        assert case.says is not None
        assert case.says in answer["error"]
        assert "\n" not in answer["error"]
        return
    assert answer["images"] == case.images, answer
    assert (case.says is None) == (not answer["notes"]), answer
    assert case.says is None or case.says in " ".join(answer["notes"])


def test_memory_is_bounded() -> None:
    assert came()["peak_kib"] < LARGEST_KIB


def test_there_are_many() -> None:
    assert len(all_cases()) >= 100


def render() -> str:
    parts = [HEAD]
    for group, cases in GROUPS.items():
        parts.append(f"## {group.capitalize()}\n\n| input | images read | what is said |\n| --- | --- | --- |\n")
        for case in cases():
            answer = came()["answers"][f"{group}: {case.what}"]
            says = f"error: {answer['error']}" if "error" in answer else " ".join(answer["notes"])
            said = says.replace("|", "\\|").replace("`", "'").replace("*", "\\*").replace("<", "&lt;")
            parts.append(f"| {case.what} | {answer.get('images', '')} | {said} |\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def test_the_page_is_current() -> None:
    """Line by line up to what libraries word themselves."""
    rows = [line.split(" | ")[0] for line in render().splitlines()]
    assert [line.split(" | ")[0] for line in PAGE.read_text(encoding="utf-8").splitlines()] == rows


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
