"""What a model's files are, in one number."""

import hashlib
import shutil
from pathlib import Path

# MLflow writes the one beside what it downloads, and Python the others where it runs; they are not part of the model.
_UNCOUNTED = {"registered_model_meta", "__pycache__"}


def digest_directory(path: Path) -> str:
    """SHA-256 over the names and contents of the files of a model."""
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        inside = file.relative_to(path)
        if _UNCOUNTED.intersection(inside.parts):
            continue
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        total.update(inside.as_posix().encode(errors="surrogateescape") + b"\0" + content)
    return total.hexdigest()


def remove_uncounted(path: Path) -> None:
    """Delete from a copy what the digest says nothing about, so that nothing in it can make a difference."""
    for found in [p for p in path.rglob("*") if p.name in _UNCOUNTED]:
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)
