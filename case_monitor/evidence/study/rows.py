"""A study as rows, for those who want to compute on."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from case_monitor.evidence.study.cells import StudyCell


def long_rows(cells: Sequence[StudyCell]) -> Iterator[dict[str, object]]:
    """Every figure of every cell: the content of figures.csv and figures.parquet."""
    for cell in cells:
        head = {"data": cell.data, "model": cell.model, "version": cell.version, "layer": cell.layer}
        for found in cell.figures.values():
            yield head | {name: value for name, value in asdict(found).items() if name != "class_idx"}


def cell_rows(cells: Sequence[StudyCell]) -> Iterator[dict[str, object]]:
    """Each cell: what it cost and what came of it, the content of cells.csv."""
    for cell in cells:
        yield {
            "data": cell.data,
            "model": cell.model,
            "version": cell.version,
            "layer": cell.layer,
            "explained": len(cell.scores.sample_ids),
            "verdict": str(cell.status),
            "seconds": round(cell.seconds, 2),
            "device": cell.device,
            "isolation": cell.isolation or "none",
            "torch": cell.torch_version,
            "evaluation_id": cell.evaluation_id,
        }
