"""A directory with one folder of images per class."""

from case_monitor.dataset.folder_files import folder_files
from case_monitor.dataset.picture_split import Listed, picture_split
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.stored import File
from case_monitor.dataset.synset_names import readable_names
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit


def read_image_folder(spec: ImageFolderSplit) -> RawSplit:
    """Read a directory, each file once; its images are opened again when they are needed."""
    path = spec.path
    if not path.is_dir():
        msg = f"split: a directory with one folder per class was expected at {path}, none is there"
        raise DataError(msg)
    found = folder_files(path)
    names, said = readable_names(spec.names, found.classes, path.name) if spec.names else (found.classes, ())
    listed = Listed(
        name=path.name,
        pictures=[File(file) for file in found.files],
        sample_ids=tuple(file.relative_to(path).as_posix() for file in found.files),
        labels=found.labels,
        class_names=names,
        sorted_by=found.classes,
        notes=(*found.notes, *said),
    )
    return picture_split(listed, spec.unreadable)
