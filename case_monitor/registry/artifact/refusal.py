"""Why a version's files may not be loaded, in one line."""

from dataclasses import dataclass

_LONGEST = 120


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - a finding, which the caller turns into an error that names the version
    """What is wrong with one of the files; `file` is relative to the model's folder, and of an archive `file: member`.

    Not one of the package's errors: who finds it does not know which version it looks at.
    """

    file: str
    expected: str
    came: str

    def __str__(self) -> str:
        return f"{shown(self.file)}: {self.expected} was expected, {self.came} came"


def shown(text: object) -> str:
    """As text that is safe to print: of one line, in ASCII, and short."""
    plain = ascii(text)[1:-1] if isinstance(text, str) else ascii(text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 3]}..."
