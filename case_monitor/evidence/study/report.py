"""A study's files: one page of HTML that needs nothing else, and the same as CSV, Parquet, LaTeX and PNG."""

import base64
import io
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from case_monitor.evidence.study.cells import StudyCell
from case_monitor.evidence.study.figures import study_figures
from case_monitor.evidence.study.findings import study_findings
from case_monitor.evidence.study.latex import latex
from case_monitor.evidence.study.rows import cell_rows, long_rows
from case_monitor.evidence.study.tables import StudyTable, study_tables
from case_monitor.evidence.table_files import write_csv, write_parquet

_DPI = 110


def write_study(
    title: str, cells: Sequence[StudyCell], unfinished: Sequence[str], galleries: Mapping[str, bytes], directory: Path
) -> list[Path]:
    """Write study.html, tables/ and figures/ below a directory.

    Args:
        title: of the study.
        cells: those that are finished, one or more.
        unfinished: what is missing and why, a sentence each.
        galleries: caption -> PNG of explained images.
        directory: made if need be.

    Returns:
        The files, the page first.
    """
    tables, figures = directory / "tables", directory / "figures"
    for folder in (tables, figures):
        shutil.rmtree(folder, ignore_errors=True)  # of what was studied before, under other names
        folder.mkdir(parents=True)
    made = study_tables(cells)
    drawn = [(name, caption, _png(figure)) for name, caption, figure in study_figures(cells)]
    drawn += [(f"gallery-{i + 1}", caption, png) for i, (caption, png) in enumerate(galleries.items())]
    files = [_page(title, cells, unfinished, made, [(c, png) for _, c, png in drawn], directory / "study.html")]
    for name, (_, _, png) in zip(_file_names([name for name, _, _ in drawn]), drawn, strict=True):
        files.append(figures / f"{name}.png")
        files[-1].write_bytes(png)
    for name, table in zip(_file_names([table.key for table in made]), made, strict=True):
        files.append(tables / f"{name}.tex")
        files[-1].write_text(latex(table), encoding="utf-8")
        files.append(write_csv(_frame(table), tables / f"{name}.csv"))
    figures_frame, cells_frame = pd.DataFrame(list(long_rows(cells))), pd.DataFrame(list(cell_rows(cells)))
    files.append(write_csv(figures_frame, tables / "figures.csv"))
    files.append(write_parquet(pa.Table.from_pandas(figures_frame, preserve_index=False), tables / "figures.parquet"))
    files.append(write_csv(cells_frame, tables / "cells.csv"))
    return files


def _file_names(names: Sequence[str]) -> list[str]:
    """Names of models and data sets may hold anything; two of them may differ in that alone."""
    safe = [re.sub(r"[^\w.\-]", "_", name)[:100] for name in names]
    return [name if safe.index(name) == i else f"{name}-{i + 1}" for i, name in enumerate(safe)]


def _frame(table: StudyTable) -> pd.DataFrame:
    """A row for each place of the table."""
    return pd.DataFrame(
        [
            {"row": name, "column": head, "figure": entry.text, "detail": entry.detail, "bold": entry.strong}
            for name, entries in table.rows
            for head, entry in zip(table.heads, entries, strict=True)
        ]
    )


def _page(
    title: str,
    cells: Sequence[StudyCell],
    unfinished: Sequence[str],
    tables: Sequence[StudyTable],
    figures: Sequence[tuple[str, bytes]],
    file: Path,
) -> Path:
    environment = Environment(
        loader=PackageLoader("case_monitor.evidence.study", "templates"), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template("study.html").render(
        title=title,
        cells=list(cell_rows(cells)),
        unfinished=unfinished,
        findings=study_findings(cells),
        tables=tables,
        figures=[(caption, base64.b64encode(png).decode()) for caption, png in figures],
        package=", ".join(sorted({cell.package_version for cell in cells})),
    )
    partial = file.with_suffix(".partial")
    partial.write_text(html, encoding="utf-8")
    return partial.replace(file)  # killed while it is written, the page of before stays


def _png(figure: Figure) -> bytes:
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=_DPI, facecolor="white")
    return made.getvalue()
