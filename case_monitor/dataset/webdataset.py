"""Shards of WebDataset: tars in which files of one name, but for what follows its first dot, are one sample."""

import glob
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from case_monitor.dataset.class_labels import of_names, of_numbers
from case_monitor.dataset.picture_split import Listed, picture_split, shown
from case_monitor.dataset.pictures import may_be_picture
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.several_labels import Asked, asked_labels, one_each, sets_of_lists
from case_monitor.dataset.tar_members import Member, members
from case_monitor.domain.errors import DataError
from case_monitor.settings import WebdatasetSplit

_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
_LONGEST_LABEL = 1 << 20
"""Bytes of a file with a label: it is read whole."""


@dataclass(slots=True)
class _Samples:
    """By their keys, in the order of the shards."""

    pictures: dict[str, Member] = field(default_factory=dict)
    labels: dict[str, Member] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    unnamed: list[str] = field(default_factory=list)


def read_webdataset(spec: WebdatasetSplit) -> RawSplit:
    """Look through the shards; pictures are read from their places in them."""
    shards, others = _shards(spec.path)
    split = spec.path.stem if spec.path in shards else spec.path.name if spec.path.is_dir() else spec.path.parent.name
    samples = _samples(shards, "cls" if spec.label_field is None else "json", split)
    keys = tuple(samples.pictures)
    unlabelled = [key for key in keys if key not in samples.labels]
    if unlabelled:
        what = ".cls" if spec.label_field is None else ".json"
        msg = f"split {split!r}: a file {what} for each picture was expected, {len(unlabelled)} have none"
        raise DataError(f"{msg}: {shown(unlabelled)}")
    texts = [_label(samples.labels[key], key, spec.label_field, split) for key in keys]
    each = [(key, text) for key, of_key in zip(keys, texts, strict=True) for text in of_key]
    class_names, flat = _classes(spec, [text for _, text in each], [key for key, _ in each], split)
    asked = _asked(split, keys, texts, flat, class_names, indices=spec.labels == "indices")
    pictures = list(samples.pictures.values())
    listed = Listed(
        name=split,
        pictures=[pictures[i] for i in asked.places],
        sample_ids=tuple(keys[i] for i in asked.places),
        labels=asked.labels,
        also=asked.also,
        class_names=class_names,
        notes=(*_notes(samples, others, split), *asked.notes),
    )
    return picture_split(listed, spec.unreadable)


def _shards(path: Path) -> tuple[list[Path], list[str]]:
    """Those of a folder, or whose names a pattern describes, sorted; and what else is in the folder."""
    others: list[str] = []
    if path.is_dir():
        found = sorted(path.glob("*.tar"))
        others = sorted(entry.name for entry in path.iterdir() if entry not in found)
    else:
        found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path))))
    if not found:
        raise DataError(f"split: shards (.tar) were expected at {path}, none came; say a folder, or a pattern with *")
    return found, others


def _samples(shards: Sequence[Path], label: str, split: str) -> _Samples:
    found = _Samples()
    for shard in shards:
        for name, member in members(shard):
            parts = _NAME.fullmatch(name)
            if parts is None:
                found.unnamed.append(name)
                continue
            key, kind = parts[1], parts[2].lower()
            if kind == label:
                _put(found.labels, key, member, split)
            elif "." not in kind and may_be_picture(Path(f"x.{kind}")):
                _put(found.pictures, key, member, split)
            else:
                found.others[kind] += 1
    return found


def _put(there: dict[str, Member], key: str, member: Member, split: str) -> None:
    before = there.setdefault(key, member)
    if before is not member:
        where = f"{before.shard.name} and {member.shard.name}"
        raise DataError(f"split {split!r}: a picture and a label of each key were expected, {key!r} has two: {where}")


def _asked(
    split: str,
    keys: Sequence[str],
    texts: Sequence[tuple[str, ...] | list[str]],
    flat: Sequence[int],
    class_names: Sequence[str] | None,
    *,
    indices: bool,
) -> Asked:
    """What each picture is asked, by the class of each of its labels, one after the other."""
    if all(isinstance(of_key, tuple) for of_key in texts):
        return one_each(flat)
    rest = iter(flat)
    lists = [[next(rest) for _ in of_key] for of_key in texts]
    sets = sets_of_lists(split, lists, [f"label of {key!r}" for key in keys], indices=indices)
    return asked_labels(split, keys, sets, class_names)


def _label(member: Member, key: str, name: str | None, split: str) -> tuple[str, ...] | list[str]:
    """What is written there, as text: one label, or a list of them."""
    where = f"split {split!r}, label of {key!r}"
    if member.length > _LONGEST_LABEL:
        raise DataError(f"{where}: up to 1 MiB was expected, {member.length} bytes came")
    try:
        text = member.content().decode("utf-8-sig")
        value = text.strip() if name is None else json.loads(text)[name]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        what = "text in UTF-8" if name is None else f"JSON with a field {name!r}"
        raise DataError(f"{where}: {what} was expected, something else came") from None
    found = value if isinstance(value, list) else [value]
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int | str):
            raise DataError(f"{where}: a name or an integer was expected, {type(one).__name__} came")
    return [str(one) for one in found] if isinstance(value, list) else (str(value),)


def _classes(
    spec: WebdatasetSplit, texts: Sequence[str], keys: Sequence[str], split: str
) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    where = [f"label of {key!r}" for key in keys]
    given = _given_names(spec.class_names, split)
    if spec.labels == "indices":
        return given, of_numbers(texts, where, split, "; say labels: names if these are names")
    own, labels = of_names(texts, where, split)
    if given is None:
        return own, labels
    unknown = [name for name in own if name not in given]
    if unknown:
        raise DataError(f"split {split!r}: classes of split.class_names were expected, {shown(unknown)} came")
    index: Mapping[int, int] = {u: given.index(name) for u, name in enumerate(own)}
    return given, tuple(index[u] for u in labels)


def _given_names(given: tuple[str, ...] | Path | None, split: str) -> tuple[str, ...] | None:
    """As the configuration, or a file with a line for each class, says them."""
    if isinstance(given, Path):
        try:
            text = given.read_text(encoding="utf-8-sig") if given.is_file() else None
        except (OSError, UnicodeDecodeError):
            text = None
        if text is None:
            raise DataError(f"split {split!r}: a text with a class in each line was expected at {given}")
        given = tuple(line.strip() for line in text.splitlines())
    if given is not None and ("" in given or len(set(given)) < len(given)):
        raise DataError(f"split {split!r}: names that differ were expected in class_names, some are empty or alike")
    return given


def _notes(samples: _Samples, beside: Sequence[str], split: str) -> list[str]:
    alone = [key for key in samples.labels if key not in samples.pictures]
    notes = [f"{len(alone)} labels of {split!r} have no picture and were left out: {shown(alone)}."] if alone else []
    if beside:
        notes.append(f"{len(beside)} entries of {split!r} that are no shards (.tar) were left out: {shown(beside)}.")
    if samples.unnamed:
        names = samples.unnamed
        notes.append(f"{len(names)} files of {split!r} without a key were left out: {shown(names)}.")
    if samples.others:
        kinds = [f"{count} .{kind}" for kind, count in sorted(samples.others.items())]
        total = samples.others.total()
        notes.append(f"{total} files of {split!r} that are no pictures and no labels were left out: {shown(kinds)}.")
    return notes
