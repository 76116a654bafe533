"""Read every case as the measuring process does; prints what came of each as JSON, and what memory it took at most."""

import json
import resource
import sys
import tempfile
from pathlib import Path

from case_monitor.dataset import load_split, prepare
from case_monitor.domain.errors import CaseMonitorError
from tests.corpus.case import Case
from tests.corpus.folders import archive_cases, folder_cases
from tests.corpus.pictures import picture_cases
from tests.corpus.tables import shard_cases, table_cases

GROUPS = {
    "pictures": picture_cases,
    "folders": folder_cases,
    "archives": archive_cases,
    "tables": table_cases,
    "shards": shard_cases,
}


def all_cases() -> dict[str, Case]:
    return {f"{group}: {case.what}": case for group, cases in GROUPS.items() for case in cases()}


def answer(case: Case) -> dict[str, object]:
    """What came: an error's line, or how many images, and the notes."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        place = Path(folder) / "split"
        place.mkdir()
        spec = case.build(place)
        try:
            raw = load_split(spec)
            split, images = prepare(raw, case.class_names, case.preprocessing)
            seen = sum(len(batch) for batch in images.batches(range(split.size), 2))
        except CaseMonitorError as error:
            return {"error": str(error).replace(folder, "")}
        return {"images": seen, "notes": [note.replace(folder, "") for note in split.notes]}


if __name__ == "__main__":
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = {name: answer(case) for name, case in all_cases().items()}
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (1 if sys.platform != "darwin" else 1024)
    sys.stdout.write(json.dumps({"answers": answers, "peak_kib": more}))
