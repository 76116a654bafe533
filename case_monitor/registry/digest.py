"""What a model's files are, in one number."""

import hashlib
from pathlib import Path

# MLflow writes this file beside what it downloads; it is not part of the model.
_NOT_PART_OF_MODEL = {"registered_model_meta"}


def digest_directory(path: Path) -> str:
    """SHA-256 over the names and contents of the files of a model."""
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name not in _NOT_PART_OF_MODEL):
        if "__pycache__" in file.parts:
            continue
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        total.update(file.relative_to(path).as_posix().encode() + b"\0" + content)
    return total.hexdigest()
