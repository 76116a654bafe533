"""A table as LaTeX, for a paper: `booktabs` is all that it needs."""

from case_monitor.evidence.study.tables import StudyTable

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "–": "--",
    "“": "``",
    "”": "''",
}


def latex(table: StudyTable) -> str:
    """The figures that the paper prints; what it takes to read them is in the other formats."""
    lines = [
        r"\begin{table}",
        rf"\caption{{{escaped(table.title)}. {escaped(table.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.heads)}}}",
        r"\toprule",
        " & ".join(["", *map(escaped, table.heads)]) + r" \\",
        r"\midrule",
    ]
    for name, entries in table.rows:
        shown = [rf"\textbf{{{escaped(e.text)}}}" if e.strong else escaped(e.text) for e in entries]
        lines.append(" & ".join([escaped(name), *shown]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escaped(text: str) -> str:
    r"""As LaTeX prints it; names are not trusted.

    Example:
        >>> print(escaped("5% of \input{x}_$"))
        5\% of \textbackslash{}input\{x\}\_\$
    """
    return "".join(_SPECIAL.get(char, char) for char in text)
